# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# One life of a node is a generation in a cluster: it begins on a host without pods and identity.
conf=/etc/kubernetes/kubelet.conf
client=$root/pki/kubelet-client-current.pem
serving=$root/pki/kubelet-server-current.pem

# life: end an earlier one, and refuse to end one that is not ours. Beside kube-proxy alone runs a
# kubelet that is somebody else's.
life() {
  has "$(echo "$units" | tr '=' ' ')" kubelet && [ "$action" = apply ] || return 0
  was=$(cat "$state/generation" 2>/dev/null)
  case $was in
  "$cluster $generation") return ;;
  '') ! theirs || return 0 ;;
  *" $generation") die "the host is in cluster ${was% *}, not $cluster; raise the node's generation to move it" ;;
  esac
  g=$state/generation
  echo "$cluster $generation" >"$g.new" || full "$g"
  clear_life
  mv "$g.new" "$g"
}

# theirs: a kubelet that was not set up here is no concern of ours; take_over.sh has another answer.
theirs() {
  [ ! -e "$conf" ] || die "$conf is of a kubelet that was not set up here; adopt the node, or take the host out of its cluster and remove that"
  false
}

# unknown: a kubelet whose kubeconfig or Node is gone; it writes the one and registers the other when
# it starts, and only then. Only root reads what identifies it.
unknown() {
  has "$(echo "$units" | tr '=' ' ')" kubelet || return
  for f in "$conf" "$root"/pki/kubelet-*-current.pem; do [ ! -e "$f" ] || { chown 0:0 "$f" && chmod 600 "$f"; }; done
  [ -e "$client" ] || return
  [ -e "$conf" ] || return 0
  curl -q -s --noproxy '*' -m 5 --cert "$client" --cacert "$(sed -n 's/^ *certificate-authority: *//p' "$conf")" \
    -w '%{http_code}' "$server/api/v1/nodes/$node" | grep -q '404$'
}

# kept: what a renewal that was cut has put aside is there again; a certificate that came meanwhile stays.
kept() {
  for p in "$client" "$serving" "$conf"; do
    exists "$p.kn-kept" || continue
    if [ "$p" -ef "$p.kn-kept" ] || [ "$p" != "$conf" ] && [ -e "$p" ]; then rm "$p.kn-kept"; else mv -fT "$p.kn-kept" "$p"; fi
  done
}

# clear_life: pods, the kubelet's identity and state; volumes are unmounted first, never deleted through.
clear_life() {
  theirs=$(sed -n 's/^ *server: *//p' "$conf" 2>/dev/null)
  [ "$action" = apply ] || [ "${theirs:-$server}" = "$server" ] ||
    die "$conf is of a kubelet of $theirs by now; nothing of it was removed"
  systemctl stop kubelet 2>/dev/null
  ! systemctl -q is-active kubelet || die "kubelet does not stop"
  clear_pods
  rm -rf --one-file-system "${root:?}"/pod* "$root"/pki "$root"/plugins* "$root"/device-plugins \
    "$root"/checkpoints "$root"/image_manager "$root"/*_state "$conf" || die "cannot clear $root"
}
