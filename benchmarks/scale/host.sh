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
# Its home; what is sent to it once goes there as it would anywhere.
cd "$here" || exit
case $SSH_ORIGINAL_COMMAND in
*sftp-server)
  exec "$SSH_ORIGINAL_COMMAND"
  ;;
*' rm -rf .kube-nodes/'*)
  cat >/dev/null
  exec rm -rf .kube-nodes
  ;;
esac
machine=$(cat "$here/machine-id") || die "is no host here"
cat >"$new" || die "cannot save the script"
[ "$(tail -n 1 "$new")" = "# end" ] || die "the script arrived cut short"
# shellcheck disable=SC2016
case $SSH_ORIGINAL_COMMAND in
*' $f apply '*) action=apply ;;
*' $f remove '*) action=remove ;;
*) die "this is not a command of this project" ;;
esac
sum=${SSH_ORIGINAL_COMMAND#*s=}
set -- .kube-nodes/*/"${sum%% *}"
[ -f "$1" ] || die "was not sent what this command calls"
part=$(sed -n 's/^part=//p; s/^accept=.*/check/p; s/^tools=.*/preflight/p; /^use /q' "$new")
case $action.$part in
apply.preflight)
  echo "fact machine-id $machine"
  echo ok
  ;;
apply.check)
  sed -n "s/^run=/run /p; /^use /q" "$new"
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
