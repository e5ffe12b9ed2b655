action=$1
node=n1
part=credentials
reapply=2
root=/var/lib/kubelet
units='containerd=0= kubelet=10=http://127.0.0.1:10248/healthz kube-proxy=2=http://127.0.0.1:10256/healthz'
wait=60
generation=3
use base credentials
begin
put /etc/kubernetes/bootstrap-kubelet.conf 0600 '' <<'END'
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: https://192.0.2.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubelet-bootstrap
  name: default
current-context: default
kind: Config
users:
- name: kubelet-bootstrap
  user:
    token: tokenx.secretsecretsecr
END
put /etc/kubernetes/proxy.conf 0600 kube-proxy <<'END'
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: https://192.0.2.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kube-proxy
  name: default
current-context: default
kind: Config
users:
- name: kube-proxy
  user:
    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSWt1YmVwcm94eQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==
    client-key-data: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSXNlY3JldGtleQotLS0tLUVORCBQUklWQVRFIEtFWS0tLS0tCg==
END
vouch /etc/kubernetes/proxy.conf <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
finish
# end
