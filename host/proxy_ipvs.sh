# shellcheck shell=sh disable=SC2154
# The mode ipvs, beside its iptables rules: the kernel's IPVS with the scheduler, ipset, a dummy device.

needs_ipvs() {
  [ -e /proc/net/ip_vs ] || modprobe -qn ip_vs 2>/dev/null ||
    found ip_vs "neither in the kernel nor a module" "kube-proxy in mode ipvs needs IPVS" "install the kernel's modules, or set proxyMode to nftables"
  # Without modules there is no telling; what is missing then, kube-proxy itself says.
  [ ! -d "/lib/modules/$(uname -r)" ] || modprobe -qn "ip_vs_$scheduler" 2>/dev/null ||
    found "ip_vs_$scheduler" "no such module" "kube-proxy's ipvs.scheduler is $scheduler" "install the kernel's modules, or choose another scheduler"
  ! needs ip || tried ip link add kube-ipvs0 type dummy ||
    found dummy "$e" "kube-proxy in mode ipvs keeps the Services' addresses on a dummy device" "load the module dummy, or set proxyMode to nftables"
  needs ipset || return
  tried sh -c 'ipset create kn hash:ip,port && iptables -A OUTPUT -m set --match-set kn dst,dst' ||
    found ipset "$e" "kube-proxy in mode ipvs keeps addresses in sets" "load ip_set_hash_ipport and xt_set, or set proxyMode to nftables"
}
