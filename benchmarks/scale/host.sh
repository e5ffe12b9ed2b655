#!/bin/sh
# A simulated host, as sshd's ForceCommand: it takes the script that comes on stdin, keeps it in a
# folder of its own, and prints what the script would have printed, were this a machine with systemd.
# $1 is the host's name. What its kubelet is to do goes to the process that plays all kubelets.
umask 077
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
here=${0%/*}/hosts/$1
new=$here/new.$$
trap 'rm -f "$new"' EXIT

die() {
  printf '%s: %s\n' "$host" "$*" >&2
  exit 1
}

# result: as host/base.sh prints it, with all files of the script as changed.
result() {
  echo "run $(cat /proc/sys/kernel/random/uuid)"
  echo "machine $machine"
  sed -n 's/^put \(\/[^ ]*\) 0.*/changed \1/p' "$1"
}

host=$1
machine=$(cat "$here/machine-id") || die "is no host here"
cat >"$new" || die "cannot save the script"
[ "$(tail -n 1 "$new")" = "# end" ] || die "the script arrived cut short"
case $SSH_ORIGINAL_COMMAND in
*" apply'") action=apply ;;
*" remove'") action=remove ;;
*) die "this is not the receiver's command" ;;
esac
part=$(sed -n 's/^part=//p; s/^accept=.*/check/p; s/^tools=.*/preflight/p; /^umask/q; /^[a-z_]*()/q' "$new")
case $action.$part in
apply.preflight)
  echo "fact machine-id $machine"
  echo ok
  ;;
apply.check)
  sed -n "s/^run=/run /p; /^[a-z_]*()/q" "$new"
  echo ok
  ;;
apply.credentials)
  result "$new"
  mv -f "$new" "$here/credentials"
  ;;
apply.units)
  result "$new"
  mv -f "$new" "$here/units"
  echo "restarted kubelet $(date +%s.%N)"
  echo "restarted kube-proxy $(date +%s.%N)"
  echo "start $host" >>"${0%/*}/orders"
  ;;
remove.units)
  echo "stop $host" >>"${0%/*}/orders"
  result "$new"
  rm -f "$here/units"
  ;;
remove.credentials)
  result "$new"
  rm -f "$here/credentials"
  ;;
*) die "no step is known by this script: $action ${part:-of no part}" ;;
esac
