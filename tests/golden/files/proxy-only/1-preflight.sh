node=n1
server=https://192.0.2.10:6443
units=kube-proxy
tools='cmp curl find flock grep journalctl sha256sum systemctl timeout umount xargs'
proxy_mode=nftables
proxy_needs=nftables
families=4
conntrack=no
scheduler=rr
fail_swap_on=no
cgroup_v1=yes
sysctls=''
clock=60
disks='/etc=10 /usr/local/bin=300'
ports='kube-proxy=10256 kube-proxy=10249'
kubeconfig=/etc/kubernetes/kubelet.conf
use preflight preflight_place proxy_mode proxy_nftables
main host api identity disks ports foreign proxy_mode <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
# end
