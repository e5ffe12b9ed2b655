action=$1
node=n1
part=units
reapply=2
root=/var/lib/kubelet
units='kubelet=10=http://127.0.0.1:10248/healthz kube-proxy=2=http://127.0.0.1:10256/healthz'
wait=60
cluster=6f1c7b0e-2f0a-4d58-9a9d-0f4f1c3c2b11
generation=3
server=https://192.0.2.10:6443
use base record version programs units proxy_cleanup pods life
begin
binary /usr/local/bin/kube-proxy v1.8.2 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb kube-proxy https://files.example/kube-proxy
binary /usr/local/bin/kubelet v1.8.2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa kubelet https://files.example/kubelet
life
dir /etc/cni/net.d 0755
dir /etc/kubernetes/manifests 0700
dir /var/lib/kube-proxy 0700
dir /var/lib/kubelet 0700
put /etc/kubernetes/pki/ca.crt 0644 'kubelet kube-proxy' <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
put /etc/systemd/system/kube-proxy.service 0600 kube-proxy <<'END'
[Unit]
Description=kube-proxy: the Kubernetes network proxy
Documentation=https://kubernetes.io/docs/concepts/architecture/#kube-proxy
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/kube-proxy --bind-address=192.0.2.121 --cluster-cidr=10.200.0.0/16 --conntrack-min=0 --hostname-override=n1 --kubeconfig=/etc/kubernetes/proxy.conf --logtostderr=true --proxy-mode=iptables --v=4
Restart=always
RestartSec=5
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
END
put /etc/systemd/system/kubelet.service 0600 kubelet <<'END'
[Unit]
Description=kubelet: the Kubernetes node agent
Documentation=https://kubernetes.io/docs/concepts/architecture/#kubelet
Wants=network-online.target
After=network-online.target docker.service
Requires=docker.service
StartLimitIntervalSec=0

[Service]
ExecStartPre=-/sbin/iptables -w -D INPUT -s 10.0.0.0/8 -p tcp --dport 4194 -j ACCEPT
ExecStartPre=-/sbin/iptables -w -D INPUT -p tcp --dport 4194 -j DROP
ExecStartPre=/sbin/iptables -w -A INPUT -s 10.0.0.0/8 -p tcp --dport 4194 -j ACCEPT
ExecStartPre=/sbin/iptables -w -A INPUT -p tcp --dport 4194 -j DROP
ExecStopPost=-/sbin/iptables -w -D INPUT -s 10.0.0.0/8 -p tcp --dport 4194 -j ACCEPT
ExecStopPost=-/sbin/iptables -w -D INPUT -p tcp --dport 4194 -j DROP
ExecStart=/usr/local/bin/kubelet --allow-privileged=true --anonymous-auth=false --authentication-token-webhook=true --authorization-mode=Webhook --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --cadvisor-port=4194 --cert-dir=/var/lib/kubelet/pki --cgroup-driver=cgroupfs --client-ca-file=/etc/kubernetes/pki/ca.crt --cluster-dns=169.254.20.10,10.96.0.10 --cluster-domain=lab.example --cni-bin-dir=/opt/cni/bin --cni-conf-dir=/etc/cni/net.d --eviction-hard=memory.available<5%%,nodefs.available<10%%,nodefs.inodesFree<5%% --fail-swap-on=false --feature-gates=Accelerators=true,DevicePlugins=true --kube-reserved=cpu=200m,ephemeral-storage=1Gi,memory=512Mi --kubeconfig=/etc/kubernetes/kubelet.conf --logtostderr=true --make-iptables-util-chains=true --max-pods=50 --network-plugin=cni --node-ip=192.0.2.121 --node-labels=example.com/zone=a,gpu=true --pod-infra-container-image=registry.example/pause:3.1 --pod-manifest-path=/etc/kubernetes/manifests --read-only-port=0 --register-with-taints=dedicated=gpu:NoSchedule,old=:NoExecute --root-dir=/var/lib/kubelet --rotate-certificates=true --streaming-connection-idle-timeout=4h0m0s --system-reserved=cpu=100m --v=4
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
END
finish
# end
