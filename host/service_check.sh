# shellcheck shell=sh disable=SC2154
# Asks a URL from the node until it answers as it should, or the time is over.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

ask() {
  f=$(mktemp) && ca=$(mktemp) || exit 1
  trap 'rm -f "$f" "$ca"' EXIT
  cat >"$ca"
  set -- -q -sS --noproxy '*' --connect-timeout 2 -m 5 --max-filesize 1000000 -o "$f" -w '%{http_code}'
  [ ! -s "$ca" ] || set -- "$@" --cacert "$ca"
  end=$(($(date +%s) + wait))
  while :; do
    : >"$f"
    e=$(curl "$@" "$url" 2>&1)
    case " $accept " in *" $e "*) break ;; esac
    if [ "$(date +%s)" -ge "$end" ]; then
      printf '%s: %s did not answer with %s within %s s: %s\n' "$node" "$url" "$accept" "$wait" \
        "$(echo "${e%000}" | tr -cs '[:print:]' ' ' | cut -c 1-200)" >&2
      exit 1
    fi
    sleep 0.2
  done
  echo "run $run"
  tr -cs '[:graph:]' ' ' <"$f" | head -c 200
  echo
}
