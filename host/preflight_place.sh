# shellcheck shell=sh disable=SC2013,SC2046,SC2154
# Whether there is room for the node: on disks, on ports, and beside what runs here already.

# main_pid UNIT: of a unit that the scripts have set up.
main_pid() { [ ! -s "$ours/units.list" ] || systemctl show -p MainPID --value "$1"; }

# disks: PATH=MIB must be free, PATH=N% should; of a folder that is not there yet counts the one above.
disks() {
  for s in $disks ${root:+"$root=$images" "$root=$imagefs%"}; do
    p=${s%=*} n=${s#*=}
    while [ ! -e "$p" ]; do p=${p%/*} p=${p:-/}; done
    set -- $(df -Pm "$p" | tail -n 1)
    case $n in
    *%) [ $(($4 * 100)) -ge $((${n%\%} * $2)) ] || note "$p" "$4 of $2 MiB free" "below $n the kubelet evicts pods" "free some space" ;;
    *) [ "$4" -ge "$n" ] || found "$p" "$4 MiB free" "$n MiB are needed" "free some space" ;;
    esac
  done
}

# ports: UNIT=PORT must be free, or held by that unit of ours. /proc needs no tool that may be missing.
ports() {
  for s in $ports; do
    p=$(printf %04X "${s#*=}")
    i=$(sed -n "s/^ *[0-9]*: [0-9A-F]*:$p [^ ]* 0A \([^ ]*  *\)\{5\}\([0-9]*\) .*/socket:?\2?/p" /proc/net/tcp /proc/net/tcp6 | head -n 1)
    [ -n "$i" ] || continue
    [ -z "$(find "/proc/$(main_pid "${s%=*}")/fd/" -lname "$i")" ] || continue
    p=$(find /proc/[0-9]*/fd/ -lname "$i" | head -n 1 | cut -d / -f 3)
    found "port ${s#*=}" "held by $(cat "/proc/$p/comm") (process $p)" "${s%=*} listens there" "stop that, or give it another port"
  done
}

# strangers: kubelets beside the unit's own.
strangers() {
  p=$(main_pid kubelet)
  for s in $(grep -lxE 'kubelet|kubelite|k0s|k3s(-.*)?|rke2' /proc/[0-9]*/comm | cut -d / -f 3); do
    [ "$s" = "$p" ] || found "process $s" "$(cat "/proc/$s/comm")" "only our own kubelet runs on a host" "take the host out of its cluster and stop that"
  done
}

# foreign: a kubelet that somebody else set up, or drop-ins that would change our units.
foreign() {
  if managed kubelet; then
    [ -s "$ours/generation" ] || [ ! -e "$kubeconfig" ] ||
      found "$kubeconfig" "server$(sed -n 's/^ *server: */ /p' "$kubeconfig")" "it is of a kubelet that was not set up here" "adopt the node, or take the host out of its cluster"
    strangers
  fi
  for u in $units; do
    s=$(systemctl show -p DropInPaths --value "$u")
    [ -z "$s" ] || found "$u" "$s" "a drop-in would change the unit that is declared" "remove it, or put its settings into the node's options"
  done
}
