# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# Only the credentials script: few files, so a .kn-old beside one says that a run was killed.
conf=/etc/kubernetes/kubelet.conf
boot=/etc/kubernetes/bootstrap-kubelet.conf

sums=/var/lib/kube-nodes/credentials.sums end=''

recover() { :; }

# place PATH: what was there before a run that was killed is put back before it is compared.
place() {
  (umask 022 && mkdir -p "${1%/*}") || die "cannot make the folder of $1"
  ! exists "$1.kn-old" || { mv -fT "$1.kn-old" "$1" && again=1; }
}

# ends FILE: when the client certificate of a kubeconfig ends. A host need not have openssl: of DER's
# times the second is that one.
ends() {
  sed -n 's/^ *client-certificate-data: *//p' "$1" | base64 -d | sed '/^-/d' | base64 -d 2>/dev/null |
    grep -aoE '[0-9]{12,14}Z' | sed -nE '2s/^(20)?(..)(..)(..)(..)(..)(..)Z$/20\2-\3-\4T\5:\6:\7Z/p'
}

# vouch FILE: the API server must know kube-proxy by the certificate in its kubeconfig. Only it can say
# so for sure: of its CA, for clients, valid by its clock, with its own key. stdin is the CA; it,
# certificate and key are meanwhile in files on tmpfs that have no name.
vouch() {
  [ "$action" = apply ] || return 0
  n=$1.kn-new
  [ -e "$n" ] || n=$1
  end=$(ends "$n")
  f=$(mktemp) && t=$(mktemp) && exec 5>"$f" 6>"$t" && rm "$f" "$t" && cat >&6 || die "cannot write /run"
  sed -n 's/^ *client-[a-z]*-data: *//p' "$n" | while read -r l; do echo "$l" | base64 -d && echo; done >&5
  # Over HTTP/2 a refusal can cut itself off, before the body is read.
  e=$(curl -q -sS --http1.1 --noproxy '*' --cacert /dev/fd/6 --cert /dev/fd/5 --connect-timeout 5 -m 10 --retry 3 \
    --retry-connrefused -H 'Content-Type: application/json' -w ' %{http_code}' \
    -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' \
    "$(sed -n 's/^ *server: *//p' "$n")/apis/authentication.k8s.io/v1/selfsubjectreviews" 2>&1)
  exec 5>&-
  # Also where it may not ask (403, before 1.28), the answer names the user.
  case $e in *'"system:kube-proxy'[\"\\]*) return ;; esac
  die "$1: the API server does not know kube-proxy by this certificate, which ends $end:" \
    "$(echo "$e" | tr -cs '[:print:]' ' ' | cut -c 1-300); it must be the cluster CA's, for clients, with" \
    "its own key; raise kubeProxyCertificate.epoch. Nothing was changed"
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
  # Until the units are ours, what runs here is somebody else's, and goes on with its own.
  # Of another server or CA, kubelet.conf goes too: the kubelet writes it again, and keeps its certificate.
  b=$boot.kn-new
  [ -e "$b" ] || b=$boot
  if ! grep -qv '^?' "${sums%/*}/units.list" 2>/dev/null; then
    need=''
  elif has "$paths" "$boot" && [ -e "$conf" ] && [ "$(cluster "$b")" != "$(cluster "$conf")" ]; then
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
  # With another generation or reapply units comes next and restarts them: until then, what else was
  # changed by hand may keep them from starting, and the Node that kube-proxy waits for is gone.
  case $(head -n 1 "$sums" 2>/dev/null) in
  '' | "# $generation $reapply") turn ;;
  *) echo "$need" >>"${sums%/*}/restart" && need='' || full "$sums" ;;
  esac
  await_all || die "$u did not come up with the new credentials; those before are back"
  open=''
  # What was there before our first run is the host's own, and comes back in the end.
  for p in $changes; do
    [ -e "$sums" ] || mv -nT "$p.kn-old" "$p.kn-orig" 2>/dev/null
    rm -f "$p.kn-old"
  done
  # Whether they were changed by hand can be told by these without telling what is in them.
  # shellcheck disable=SC2086
  mkdir -p "${sums%/*}" && { echo "# $generation $reapply" && sha256sum $paths; } >"$sums" || die "cannot write $sums"
  result
  [ -z "$end" ] || echo "kube-proxy's certificate ends $end"
}

remove() {
  for p in $paths "$sums"; do
    rm -f "$p" "$p.kn-new" "$p.kn-old"
    mv -T "$p.kn-orig" "$p" 2>/dev/null
    rmdir "${p%/*}" 2>/dev/null
  done
  result
}
