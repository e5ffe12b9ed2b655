# shellcheck shell=sh disable=SC2086,SC2154
# End every pod on this host: containers and shims, their cgroups, network, mounts.

clear_pods() {
  if systemctl -q is-active containerd && command -v ctr >/dev/null; then
    c='timeout 60 ctr -n k8s.io'
    ids=$($c tasks ls -q) || die "ctr cannot list the pods"
    [ -z "$ids" ] || $c tasks rm -f $ids >/dev/null 2>&1
    ids=$($c containers ls -q)
    [ -z "$ids" ] || $c containers rm $ids >/dev/null 2>&1
    for id in $ids; do
      grep -rlF "$id" /var/lib/cni/networks 2>/dev/null | xargs -r rm -f
      rm -f /var/lib/cni/results/*"$id"*
    done
    for n in /run/netns/cni-*; do umount "$n" && rm -f "$n"; done 2>/dev/null
  fi
  systemctl stop kubepods.slice 2>/dev/null
  end=$(($(date +%s) + 20))
  while c=$(find /sys/fs/cgroup -maxdepth 2 -type d -name 'kubepods*') && [ -n "$c" ]; do
    [ "$(date +%s)" -lt "$end" ] || die "processes of pods do not end"
    find $c -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -9 2>/dev/null
    find $c -depth -type d -exec rmdir {} \; 2>/dev/null
    sleep 0.1
  done
  mounted | sort -r | while read -r m; do umount "$(printf %b "$m")" 2>/dev/null; done
  m=$(mounted | head -n 1)
  [ -z "$m" ] || die "$m cannot be unmounted; nothing below $root was removed. End what uses it, run again"
}

# mounted: mount points below $root, as printf %b reads them; the kernel names them by the real path.
mounted() {
  r=$(readlink -f "$root")
  while read -r _ _ _ _ m _; do
    case $m in "$r"/*) echo "$m" ;; esac
  done </proc/self/mountinfo | sed 's/\\/\\0/g'
}
