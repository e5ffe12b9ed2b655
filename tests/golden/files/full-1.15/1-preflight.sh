node=n1
server=https://192.0.2.10:6443
units='kubelet kube-proxy'
tools='cmp curl find flock grep journalctl sha256sum systemctl timeout umount xargs'
proxy_mode=iptables
proxy_needs=iptables
families=4
conntrack=yes
scheduler=rr
fail_swap_on=no
cgroup_v1=yes
sysctls=net/ipv4/ip_forward=1
clock=60
disks='/etc=10 /usr/local/bin=300 /var/lib/kubelet=100 /var/lib/kubelet=10%'
ports='kubelet=10250 kubelet=10248 kube-proxy=10256 kube-proxy=10249'
kubeconfig=/etc/kubernetes/kubelet.conf
socket=/var/run/docker.sock
images=500
imagefs=0
driver=cgroupfs
containerd_file=''
containerd_least=0
containerd_good=0
cni_bin=/opt/cni/bin
cni_conf=/etc/cni/net.d
conf=''
root=''
use preflight preflight_runtime preflight_place proxy_mode proxy_iptables
main host api identity runtime disks ports foreign proxy_mode <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
# end
