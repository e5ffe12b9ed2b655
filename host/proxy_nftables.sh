# shellcheck shell=sh disable=SC2154
# The mode nftables: kernel and nft as kube-proxy asks for them, and the kinds of rules it writes.

needs_nftables() {
  least "$(uname -r)" 5.13 ||
    found kernel "$(uname -r)" "kube-proxy in mode nftables needs 5.13 or newer" "boot a newer kernel, or set proxyMode to iptables"
  needs nft || return
  v=$(nft --version)
  v=${v#nftables v}
  least "${v%% *}" 1.0.1 ||
    found nft "${v%% *}" "kube-proxy in mode nftables needs 1.0.1 or newer" "install a newer nftables, or set proxyMode to iptables"
  for f in $families; do
    [ "$f" = 4 ] && i=ip || i=ip6
    tried nft -f - <<END || found "nftables for IPv$f" "$e" "kube-proxy in mode nftables writes such rules" \
      "load nf_tables, nft_chain_nat, nft_masq, nft_numgen and nft_fib_inet, or set proxyMode to iptables"
table $i kube-nodes {
map m { type ipv${f}_addr . inet_proto . inet_service : verdict; }
chain c { numgen random mod 2 vmap { 0 : return, 1 : return }; }
chain n {
type nat hook postrouting priority srcnat;
mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random
}
chain f {
type filter hook input priority filter;
ct status dnat accept
ct state new $i daddr . meta l4proto . th dport vmap @m
fib daddr type local reject
}
}
END
  done
}
