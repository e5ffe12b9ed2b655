# shellcheck shell=sh disable=SC2154
# What only the credentials script does: one life of a node (a generation in a cluster) ends, the next begins.
conf=/etc/kubernetes/kubelet.conf

# ours: only where the kubelet is ours is its life; beside kube-proxy alone runs somebody else's.
ours() { case " $units" in *' kubelet='*) ;; *) false ;; esac; }

# life: clear the host of an earlier life, and refuse one that is not ours to end.
life() {
  ours && [ "$action" = apply ] || return 0
  old=$(cat "$state/generation" 2>/dev/null)
  case $old in
  "$cluster $generation") return ;;
  '') [ ! -e "$conf" ] || die "$conf is of a kubelet that was not set up here; take the host out of its cluster, remove the file and run again" ;;
  *" $generation") die "the host is generation $generation of cluster ${old% *}, not of $cluster; raise the node's generation to move it" ;;
  esac
  clear_life
  echo "$cluster $generation" >"$state/generation.new" && mv "$state/generation.new" "$state/generation"
}

# clear_life: pods, the kubelet's identity and state; volumes are unmounted first, never deleted through.
clear_life() {
  systemctl stop kubelet 2>/dev/null
  ! systemctl -q is-active kubelet || die "kubelet does not stop"
  clear_pods
  rm -rf --one-file-system "${root:?}"/pod* "$root"/pki "$root"/plugins* "$root"/device-plugins \
    "$root"/checkpoints "$root"/image_manager "$root"/*_state || die "cannot clear $root"
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
  ours || return 0
  theirs=$(sed -n 's/^ *server: *//p' "$conf" 2>/dev/null | head -n 1)
  [ "${theirs:-$server}" = "$server" ] || die "$conf is of a kubelet of $theirs by now; nothing of it was removed"
  clear_life
  rm -f "$state/generation"
  rmdir "$root" 2>/dev/null
}
