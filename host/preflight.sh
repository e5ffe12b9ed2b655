# shellcheck shell=sh disable=SC2154
# Looks at the host and changes nothing: every finding in one run. docs/preflight.md lists them all.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bad=0 ours=/var/lib/kube-nodes

# found WHAT VALUE RULE REMEDY: an error. Values come from the host: one line, bounded.
found() {
  say '' "$@"
  bad=1
}

# note WHAT VALUE RULE REMEDY: worth knowing, and no reason to stop.
note() { say 'note: ' "$@"; }

say() { printf '%s: %s%s: %s; %s; %s' "$node" "$@" | tr -cs '[:print:]' ' ' | cut -c 1-500 >&3; }

# fact NAME VALUE: what does not change while the host is the same machine.
fact() { [ -z "$2" ] || echo "fact $1 $(echo "$2" | tr -cd '[:alnum:]-' | cut -c 1-64)"; }

# managed UNIT: the scripts will set it up.
managed() { case " $units " in *" $1 "*) ;; *) false ;; esac; }

host() {
  for t in $tools; do
    command -v "$t" >/dev/null || found "$t" "not found in $PATH" "the host scripts need it" "install it"
  done
  [ "$(id -u)" = 0 ] || found user "$(id -un)" "files and units are root's" "log in as root, or give this user sudo without a password"
  [ -d /run/systemd/system ] || found systemd "not running" "kubelet and kube-proxy are systemd units" "use a host that systemd boots"
  s=$(sed -n '2p' /proc/swaps)
  [ -z "$s" ] || [ "$fail_swap_on" = no ] ||
    found swap "${s%% *} is on" "failSwapOn is true" "swapoff -a and remove it from /etc/fstab, or set failSwapOn to false"
  [ "$cgroup_v1" = yes ] || [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] ||
    found cgroup "version 1" "failCgroupV1 is true, the default from 1.35 on" "boot with systemd.unified_cgroup_hierarchy=1, or set failCgroupV1 to false"
  for s in $sysctls; do
    t=$(cat "/proc/sys/${s%=*}")
    [ "$t" = "${s#*=}" ] || found "${s%=*}" "${t:-not there}" "it must be ${s#*=}" "sysctl -w $s, and the same in /etc/sysctl.d"
  done
}

# api: any HTTP answer that knows us or not proves the address, the port and the CA.
api() {
  t=$(curl -q -sS --noproxy '*' --cacert "$ca" --connect-timeout 5 -m 10 -D - -o /dev/null -w 'code %{http_code}' "$server/readyz" 2>&1)
  case $t in
  *"code 200" | *"code 401" | *"code 403") ;;
  *)
    found "$server" "$(echo "$t" | sed 's/code 000//' | cut -c 1-200)" "the API server answers with a certificate of the given CA" "correct the address or the CA, or open the way to it"
    return
    ;;
  esac
  s=$(date -d "$(echo "$t" | tr -d '\r' | sed -n 's/^[Dd]ate: //p')" +%s) || return
  s=$(($(date +%s) - s))
  [ "${s#-}" -le "$clock" ] || found clock "$s s from the API server's" "it must be within $clock s" "synchronise the host's time (NTP)"
}

# identity: what a host is called and was before decides whether it can become this node.
identity() {
  if managed kubelet; then
    [ "$(uname -n)" = "$node" ] ||
      found "host name" "$(uname -n)" "a kubelet registers under it, and it must be the node's id" "declare the host under its name, or: hostnamectl set-hostname $node"
  else
    [ ! -s "$ours/generation" ] ||
      found role "a kubelet runs here" "a worker cannot become proxy-only in place: its pods must be drained first" \
        "remove the node from the configuration, run up, then declare it anew"
  fi
  s=$(cat /etc/machine-id)
  [ "${#s}" = 32 ] || found machine-id "${s:-none}" "a host has its own, of 32 digits" "rm /etc/machine-id, then systemd-machine-id-setup"
  fact machine-id "$s"
  fact product-uuid "$(cat /sys/class/dmi/id/product_uuid)"
}

# main CHECK...: run them; the CA is on stdin.
main() {
  ca=$(mktemp) || exit 1
  trap 'rm -f "$ca"' EXIT
  cat >"$ca"
  # What a look at something that is not there says is no finding.
  exec 3>&2 2>/dev/null
  for check in "$@"; do $check; done
  [ "$bad" = 0 ] || exit 1
  echo "ok"
}
