# shellcheck shell=sh disable=SC2154
# Looks at the host and changes nothing: every finding in one run.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bad=0

# found WHAT VALUE RULE REMEDY
found() {
  printf '%s: %s: %s; %s; %s\n' "$node" "$1" "$2" "$3" "$4" >&2
  bad=$((bad + 1))
}

# managed UNIT: the scripts will set it up.
managed() { case " $units " in *" $1 "*) ;; *) false ;; esac; }

tools() {
  for t in $tools; do
    command -v "$t" >/dev/null || found "$t" "not found in $PATH" "the host scripts need it" "install it"
  done
}

host() {
  [ "$(id -u)" = 0 ] || found user "$(id -un)" "files and units are root's" "log in as root, or give this user sudo without a password"
  [ -d /run/systemd/system ] || found systemd "not running" "kubelet and kube-proxy are systemd units" "use a host that systemd boots"
  [ -z "$socket" ] || [ -S "$socket" ] ||
    found "$socket" "no socket" "the kubelet needs a running container runtime" "install and start it, or correct its endpoint"
  s=$(sed -n '2p' /proc/swaps)
  [ -z "$s" ] || [ "$fail_swap_on" = no ] ||
    found swap "${s%% *} is on" "failSwapOn is true" "swapoff -a and remove it from /etc/fstab, or set failSwapOn to false"
}

# api CA_FILE: any HTTP answer that knows us or not proves the address, the port and the CA.
api() {
  command -v curl >/dev/null || return
  e=$(curl -q -sS --noproxy '*' --cacert "$1" --connect-timeout 5 -m 10 -o /dev/null -w '%{http_code}' "$server/readyz" 2>&1)
  case $e in
  200 | 401 | 403) ;;
  *)
    found "$server" "$(echo "${e%000}" | tr -cs '[:print:]' ' ' | cut -c 1-200)" \
      "the API server answers with a certificate of the given CA" "correct the address or the CA, or open the way to it"
    ;;
  esac
}

# identity: what a host is called and was before decides whether it can become this node.
identity() {
  if managed kubelet; then
    [ "$(uname -n)" = "$node" ] ||
      found "host name" "$(uname -n)" "a kubelet registers under its host's name, which must be the node's id" \
        "declare the host under its name, or: hostnamectl set-hostname $node"
  else
    [ ! -s /var/lib/kube-nodes/generation ] ||
      found role "a kubelet runs here" "a worker cannot become proxy-only in place: its pods must be drained first" \
        "remove the node from the configuration, run up, then declare it anew"
  fi
}

# foreign: a kubelet that somebody else set up, or drop-ins that would change our units.
foreign() {
  [ -s /var/lib/kube-nodes/generation ] || [ ! -e /etc/kubernetes/kubelet.conf ] || ! managed kubelet ||
    found /etc/kubernetes/kubelet.conf "server$(sed -n 's/^ *server: */ /p' /etc/kubernetes/kubelet.conf)" \
      "it is of a kubelet that was not set up here" "take the host out of its cluster and remove the file"
  for u in $units; do
    s=$(systemctl show -p DropInPaths --value "$u" 2>/dev/null)
    [ -z "$s" ] || found "$u" "$s" "a drop-in would change the unit that is declared" "remove it, or put its settings into the node's options"
  done
}

main() {
  tools
  host
  identity
  ca=$(mktemp) || exit 1
  trap 'rm -f "$ca"' EXIT
  cat >"$ca"
  api "$ca"
  foreign
  [ "$bad" = 0 ] || exit 1
  echo "ok"
}
