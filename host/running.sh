# shellcheck shell=sh disable=SC2013,SC2034,SC2154
# For a look at what somebody else has set up, with inspect.sh and foreign.sh: it changes nothing.

# running UNIT: what its process was started with, and the texts that this comes from.
running() {
  unit "$1"
  k=${pid:-0} c=''
  if [ "$k" != 0 ]; then
    tr '\0' '\n' <"/proc/$k/cmdline" | say argument "$1" 200
    version "/proc/$k/exe" | sed "s|^version /proc/[0-9]*/exe|text version-$1|"
    c=$(flag config)
    kubeconfig "$(flag kubeconfig)"
  fi
  for f in $(echo "$s" | sed -n 's/^FragmentPath=//p; s/^DropInPaths=//p') $c; do
    [ ! -f "$f" ] || content "$f"
  done
}

# strangers: programs of Kubernetes that no unit of their name runs.
strangers() {
  for f in $(grep -lxE 'kubelet|kube-proxy' /proc/[0-9]*/comm); do
    f=${f%/comm} n=$(cat "$f/comm")
    [ "$(systemctl show -p MainPID --value "$n")" = "${f#/proc/}" ] || echo "$n" | say stranger "$n" 1
  done
}
