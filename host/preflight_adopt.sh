# shellcheck shell=sh disable=SC2013,SC2046,SC2154
# Only where `adopt` is declared: is what runs here this node, and can it go on under our units with
# its pods? A host that is ours already is looked at as any other.

# main_pid UNIT: also of a unit that somebody else has set up.
main_pid() { systemctl show -p MainPID --value "$1"; }

# given FLAG FIELD DEFAULT: what the kubelet runs with.
given() {
  v=$(flag "$1")
  [ -n "$v" ] || v=$(sed -n "s/^$2: *//p" "$(flag config)" | tr -d "\"'")
  echo "${v:-$3}"
}

adoption() {
  [ ! -s "$ours/generation" ] || { foreign; return; }
  k=$(main_pid kubelet)
  strangers
  if [ "${k:-0}" = 0 ]; then
    found kubelet.service "does not run" "adopt takes over a kubelet that runs as this unit" "start it, or take adopt out of the node's options"
    return
  fi
  stays_whole
  alone
  known
}

# stays_whole: where the kubelet would look elsewhere for its pods, it would end them.
stays_whole() {
  v=$(given root-dir rootDir "$kubelet_root")
  [ "$v" = "$kubelet_root" ] || found root-dir "$v" "the pods' volumes are there, and ours is $kubelet_root" "this node cannot be adopted: drain it, take it out of its cluster and join it anew"
  v=$(given container-runtime-endpoint containerRuntimeEndpoint "$socket")
  [ "$(readlink -f "${v#unix://}")" = "$(readlink -f "$socket")" ] ||
    found "container runtime" "$v" "the pods that run are there, and not at $socket" "set containerRuntimeEndpoint to it"
  [ "$driver" = systemd ] && v=kubepods.slice || v=kubepods
  [ -n "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$v")" ] ||
    found "cgroups of pods" "$(find /sys/fs/cgroup -maxdepth 2 -type d -name 'kubepods*' | head -n 1)" "the driver $driver would make others, and the pods start anew" "set cgroupDriver to the one that they were made with"
}

# alone: what would stand beside, or before, our own units.
alone() {
  p=$(main_pid kube-proxy)
  for s in $(grep -lx kube-proxy /proc/[0-9]*/comm | cut -d / -f 3); do
    [ "$s" = "$p" ] ||
      found "process $s" "kube-proxy, and not of kube-proxy.service" "one kube-proxy runs on a host" "keep its DaemonSet off this node (docs/operations.md, Adopting nodes)"
  done
  [ ! -e /sys/class/net/kube-ipvs0 ] || [ "$proxy_mode" = ipvs ] ||
    found proxyMode "kube-proxy runs in mode ipvs here" "its Services would be answered twice in mode $proxy_mode" "adopt with proxyMode ipvs and change it afterwards"
  for u in $units; do
    s=$(systemctl show -p FragmentPath --value "$u")
    case $unit_dir:$s in
    /etc/systemd/system:*) ;;
    *:/etc/systemd/system/*)
      found "$u" "$s" "it stands before the unit in $unit_dir" "set layout.unitDir to /etc/systemd/system"
      ;;
    esac
  done
}

# known: the API server and the Node must say that it is this node; the key goes no further than curl.
known() {
  c=$(flag kubeconfig)
  s=$(mktemp) && exec 5>"$s" && rm "$s" && credential "$c" >&5
  set -- -q -sS --http1.1 --noproxy '*' --cacert "$ca" --cert /dev/fd/5 --connect-timeout 5 -m 10
  s=$(curl "$@" -H 'Content-Type: application/json' "$server/apis/authentication.k8s.io/v1/selfsubjectreviews" \
    -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' 2>&1)
  case $s in
  *"\"system:node:$node\""*) ;;
  *)
    v=$(echo "$s" | sed -n 's/.*"username": *"\([^"]*\)".*/\1/p')
    found "${c:-kubeconfig}" "${v:-$(echo "$s" | cut -c 1-200)}" "the API server must know its certificate as system:node:$node" "declare the host under that name, or renew the certificate"
    return
    ;;
  esac
  v=$(curl "$@" "$server/api/v1/nodes/$node" | sed -n 's/.*"machineID": *"\([^"]*\)".*/\1/p')
  [ "$v" = "$(cat /etc/machine-id)" ] ||
    found "Node $node" "${v:-not there}" "it must be there and report this host's machine-id" "restart the kubelet, or declare the host that it is"
}
