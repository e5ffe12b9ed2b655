# shellcheck shell=sh disable=SC2015,SC2086,SC2154
# The modes that write iptables rules (iptables, ipvs, userspace): programs, matches and targets, and
# that the host has one backend.

needs_iptables() {
  for f in $families; do
    [ "$f" = 4 ] && t=iptables || t=ip6tables
    needs "$t" && needs "$t-save" && needs "$t-restore" || continue
    if ! tried "$t" -t nat -S; then
      found "$t" "$e" "kube-proxy in mode $proxy_mode needs the table nat" "load the kernel's NAT for $t, or set proxyMode to nftables"
      continue
    fi
    while read -r table what rule; do
      tried "$t" -t "$table" -A OUTPUT $rule ||
        found "$t $what" "$e" "kube-proxy in mode $proxy_mode writes such rules" "load xt_$what, or set proxyMode to nftables"
    done <<END
nat comment -m comment --comment x
nat mark -m mark --mark 1/1
nat statistic -m statistic --mode random --probability 0.5
nat recent -m recent --name kn --rcheck --seconds 10
nat addrtype -m addrtype --dst-type LOCAL
nat DNAT -p tcp -j DNAT --to-destination :1
nat MARK -j MARK --or-mark 1
filter conntrack -m conntrack --ctstate NEW
filter REJECT -j REJECT
END
    tried "$t" -t nat -A POSTROUTING -j MASQUERADE ||
      found "$t MASQUERADE" "$e" "kube-proxy in mode $proxy_mode writes such rules" "load xt_MASQUERADE, or set proxyMode to nftables"
  done
  backends
}

# backends: rules in the backend that `iptables` is not are rules that kube-proxy does not see.
backends() {
  case $(iptables --version 2>/dev/null) in
  *nf_tables*) b=nf_tables other=legacy ;;
  *) b=legacy other=nft ;;
  esac
  n=0
  for t in iptables ip6tables; do
    command -v "$t-$other-save" >/dev/null && n=$((n + $("$t-$other-save" 2>/dev/null | grep -c '^-A')))
  done
  [ "$n" = 0 ] ||
    found iptables "$b, and $other holds $n rules" "a host has its rules in one backend: packets pass both, and kube-proxy sees one" \
      "remove the rules of $other (iptables-$other -F for each table), or make it the host's: update-alternatives --config iptables"
}
