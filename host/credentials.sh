# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# Only the credentials script: few files, so a .kn-old beside one says that a run was killed.
conf=/etc/kubernetes/kubelet.conf
boot=/etc/kubernetes/bootstrap-kubelet.conf

recover() { :; }

# place PATH: what was there before a run that was killed is put back before it is compared.
place() {
  (umask 022 && mkdir -p "${1%/*}") || die "cannot make the folder of $1"
  ! exists "$1.kn-old" || { mv -fT "$1.kn-old" "$1" && again=1; }
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
  open=''
  for p in $changes; do rm -f "$p.kn-old"; done
  result
}

remove() {
  for p in $paths; do rm -f "$p" "$p".kn-* && rmdir "${p%/*}" 2>/dev/null; done
  result
}
