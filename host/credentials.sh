# shellcheck shell=sh disable=SC2154
# What only the credentials script does: one life of a node (a generation in a cluster) ends, the next begins.
conf=/etc/kubernetes/kubelet.conf

# life: clear the host of an earlier life, and refuse one that is not ours to end.
life() {
  [ "$action" = apply ] || return 0
  old=$(cat "$state/generation" 2>/dev/null)
  [ "$old" != "$cluster $generation" ] || return 0
  theirs=$(sed -n 's/^ *server: *//p' "$conf" 2>/dev/null | head -n 1)
  case $old in
  '')
    [ "${theirs:-$server}" = "$server" ] ||
      die "$conf is of a kubelet that belongs to $theirs, not to $server; take the host out of that cluster and remove the file"
    ;;
  *" $generation") die "this host is generation $generation of the cluster ${old% *}, not of $cluster; raise the node's generation to move it" ;;
  esac
  clear_life
  echo "$cluster $generation" >"$state/generation.new" && mv "$state/generation.new" "$state/generation"
}

# clear_life: pods, kubelet's identity and state; volumes are unmounted first and never deleted through.
clear_life() {
  systemctl stop kubelet 2>/dev/null
  ! systemctl -q is-active kubelet || die "kubelet does not stop"
  clear_pods
  for p in pods pki plugins plugins_registry device-plugins pod-resources checkpoints \
    cpu_manager_state memory_manager_state dra_manager_state allocated_pods_state actuated_pods_state; do
    rm -rf --one-file-system "${root:?}/$p" || die "cannot remove $root/$p"
  done
  rm -f "$conf"
}

# wanted: only what runs is restarted here. A kubelet.conf made from another bootstrap file (server or
# CA) goes with it: the kubelet writes it again, and keeps its certificate.
wanted() {
  ! has "$changes" /etc/kubernetes/bootstrap-kubelet.conf || ! exists "$conf" || changes="$changes $conf"
  runs=''
  for u in $need; do [ "$(systemctl is-active "$u")" = inactive ] || runs="$runs $u"; done
  need=$runs
}

removing() {
  clear_life
  rm -f "$state/generation"
}
