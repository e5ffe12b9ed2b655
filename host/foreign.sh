# shellcheck shell=sh disable=SC2154
# Only where `adopt` is declared: reads how a kubelet runs that somebody else set up; $k is its process.

# flag NAME: what was given last; a - of the name may be a _ as well.
flag() {
  w=$(echo "$1" | sed 's/-/[-_]/g')
  tr '\0' '\n' <"/proc/$k/cmdline" | sed -nE "/^--?$w=/{s/^[^=]*=//;p};/^--?$w\$/{n;p}" | tail -n 1
}

# credential KUBECONFIG: its client certificate, then the key, as PEM, from wherever it has them.
credential() {
  for w in certificate key; do
    sed -nE "s/^ *client-$w(-data)?: *\"?([^\" ]+)\"? *\$/\1:\2/p" "$1" | head -n 1
  done | uniq | while IFS=: read -r w v; do
    case $w$v in
    -data*) echo "$v" | base64 -d && echo ;;
    /*) cat "$v" ;;
    *) cat "${1%/*}/$v" ;;
    esac
  done
}
