node=n1
server=https://192.0.2.10:6443
units=kube-proxy
tools='cmp curl find flock grep journalctl sha256sum systemctl timeout umount xargs'
fail_swap_on=no
cgroup_v1=yes
sysctls=''
clock=60
disks='/etc=10 /usr/local/bin=300'
ports='kube-proxy=10256 kube-proxy=10249'
kubeconfig=/etc/kubernetes/kubelet.conf
# … host/preflight.sh …
# … host/preflight_place.sh …
main host api identity disks ports foreign <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
# end
