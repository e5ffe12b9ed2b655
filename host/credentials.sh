# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# Only the credentials script: few files, so a .kn-old beside one says that a run was killed.
conf=/etc/kubernetes/kubelet.conf
boot=/etc/kubernetes/bootstrap-kubelet.conf

recover() {
  for p in $old; do ! exists "$p.kn-old" || { mv -fT "$p.kn-old" "$p" && again=1 ours="$ours $p"; }; done
}

undo() {
  for p in $changes; do
    if exists "$p.kn-old"; then mv -fT "$p.kn-old" "$p"; else rm -f "$p"; fi
  done
  turn
}

# cluster FILE: which API server and CA a kubeconfig names.
cluster() { grep -E '^ *(server|certificate-authority[a-z-]*):' "$1" | tr -d ' "' | sort; }

finish() {
  [ "$action" = apply ] || { remove; return; }
  stale
  # Of another server or CA, kubelet.conf goes too: the kubelet writes it again, and keeps its certificate.
  if [ -e "$boot.kn-new" ] && [ -e "$conf" ] && [ "$(cluster "$boot.kn-new")" != "$(cluster "$conf")" ]; then
    changes="$changes $conf" need="$need kubelet"
  fi
  runs=''
  for u in $need; do [ "$(systemctl is-active "$u")" = inactive ] || runs="$runs $u"; done
  need=$runs
  for p in $changes; do ! exists "$p" || ln -f "$p" "$p.kn-old" || die "cannot keep $p"; done
  open=1
  for p in $changes; do
    if [ -e "$p.kn-new" ]; then mv -fT "$p.kn-new" "$p"; else rm -f "$p"; fi || die "cannot replace $p"
  done
  turn
  await_all || die "$u did not come up with the new credentials; those before are back"
  settled
}

remove() {
  for p in $old $paths; do [ -d "$p" ] || rm -f "$p" "$p".kn-* || die "cannot remove $p"; done
  for p in $(echo "$old" | tr " " "\n" | sort -r); do rmdir "$p" 2>/dev/null; done
  rm -f "$list"
  rmdir "$state" 2>/dev/null
  result
}
