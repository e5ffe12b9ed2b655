# shellcheck shell=sh disable=SC2015,SC2154
# Only where a token is open: does the API server let it in from here?

# admitted END: the token on the host, tried from here before anything is replaced, with the CA that
# vouch has left in /dev/fd/6. Another API server than the one that opened it may know of it later. A
# kubelet with its certificate needs none, and one that may have ended is opened again by membership.
admitted() {
  case $action=$(cat /var/lib/kube-nodes/generation 2>/dev/null) in
  apply=*" $generation") [ ! -e "$root/pki/kubelet-client-current.pem" ] || return 0 ;;
  apply=*) ;;
  *) return 0 ;;
  esac
  f=$boot
  [ ! -e "$f.kn-new" ] || f=$f.kn-new
  n=0
  while [ "$(date +%s)" -lt "$1" ] && [ "$(try)" = 401 ]; do
    [ "$n" -lt 50 ] || die "the API server refuses this host its bootstrap token (401); let server lead" \
      "to API servers of this cluster alone, each with --enable-bootstrap-token-auth. Nothing was changed"
    n=$((n + 1))
    sleep 0.2
  done
}

# try: the HTTP status that the token gets; it goes to curl on stdin.
try() {
  sed -n "s/^ *token: *['\"]*\([^'\"]*\).*/header = \"Authorization: Bearer \1\"/p" "$f" |
    curl -q -s -K - --noproxy '*' --cacert /dev/fd/6 -m 5 -o /dev/null -w '%{http_code}' \
      "$(sed -n 's/^ *server: *//p' "$f")/version"
}
