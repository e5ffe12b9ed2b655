# shellcheck shell=sh disable=SC2013,SC2015,SC2034,SC2154
# What both changing scripts share: one run at a time on a host, and files that are staged first.
# The rendered text sets action, node, part, root, wait and units before this; then it calls `begin`,
# one function for each thing (put, binary, dir), and `finish`.
# Paths hold no white space (the renderer sees to it), so lists of them are words.
# Beside a file: .kn-new is staged, .kn-old is the one before.
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
paths='' changes='' need='' did='' open='' again=''

die() {
  printf '%s: %s\n' "$node" "$*" >&2
  exit 1
}

# full FILE: nothing is put in place of which only a part could be written.
full() {
  rm -f "$1.new"
  die "cannot write $1; is the disk full?"
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

has() { case " $1 " in *" $2 "*) ;; *) false ;; esac; }

begin() {
  # A cut connection must not stop it half-way; a signal or the time limit puts back.
  trap '' HUP PIPE
  trap 'die "stopped by a signal or the time limit"' INT TERM
  trap leave EXIT
  exec 9>/run/kube-nodes.lock
  flock -w 120 9 || die "another run is at work here; run again when it has ended"
  recover
}

leave() {
  rc=$?
  trap - EXIT
  trap '' INT TERM
  for p in $paths; do rm -f "$p.kn-new"; done
  [ -z "$open" ] || undo
  exit "$rc"
}

# put PATH MODE UNITS: stage stdin beside PATH; it has its owner and mode before its name.
put() {
  paths="$paths $1"
  [ "$action" = apply ] || return 0
  place "$1"
  rm -f "$1.kn-new"
  cat >"$1.kn-new" || full "$1"
  staged "$@"
}

# staged PATH MODE UNITS: compare with what is there, not with a record; after a run that was killed
# nobody knows what the units were started with, and all counts as changed.
staged() {
  n=$1.kn-new
  [ ! -d "$1" ] && chown 0:0 "$n" && chmod "$2" "$n" && sync "$n" ||
    die "cannot write $1; is it a folder, or the disk full?"
  if [ -n "$again" ] || [ -L "$1" ] || ! cmp -s "$1" "$n"; then
    need="$need $3"
  elif [ "$(stat -c 0%a:%u:%g "$1")" = "$2:0:0" ]; then
    rm "$n"
    return
  fi
  changes="$changes $1"
}

# turn: restart the units in $need, in the order of $units.
turn() {
  since=$(date +%s.%N)
  for u in $units; do
    u=${u%%=*}
    has "$need" "$u" || continue
    systemctl reset-failed "$u" 2>/dev/null
    did="${did}restarted $u $(date +%s.%N)\n"
    systemctl restart "$u" 2>/dev/null
  done
}

# lives UNIT: systemd did not have to start it again.
lives() {
  case $(systemctl show -p ActiveState -p SubState -p NRestarts "$1") in
  *NRestarts=[1-9]* | *=auto-restart* | *=failed* | *=inactive*) false ;;
  esac
}

# synced UNIT: it has read its configuration, and the API server answers it: what kube-proxy says, from
# 1.35 on, before it waits for its Node (WaitForNamedCacheSyncWithContext of k8s.io/client-go).
synced() {
  [ "$1" = kube-proxy ] && journalctl -q --no-pager -o cat -u "$1" --since "@$since" 2>/dev/null |
    grep -q 'Caches are synced'
}

# await UNIT SECONDS URL: until it answers. While the host has no identity in the cluster, a unit that
# waits for its own (kube-proxy: for the Node) need not answer: to have come so far, or to live so many
# seconds, is enough.
await() {
  while lives "$1"; do
    up=$(($(date +%s) - ${since%.*}))
    [ -z "$3" ] || ! curl -q -fs -m 2 --noproxy '*' -o /dev/null "$3" || return 0
    if [ -z "$3" ] || [ ! -e "$root/pki/kubelet-client-current.pem" ]; then
      [ "$up" -lt "$2" ] && ! synced "$1" || return 0
    fi
    [ "$up" -lt "$wait" ] || break
    sleep 0.1
  done
  false
}

# await_all: each unit of $need; $u is the one that did not come up.
await_all() {
  for u in $units; do
    s=${u#*=} u=${u%%=*}
    ! has "$need" "$u" || await "$u" "${s%%=*}" "${s#*=}" || return
  done
  for u in $need; do lives "$u" || return; done
}

# result: an id of this run, which makes what depends on it run too.
result() {
  echo "run $(cat /proc/sys/kernel/random/uuid)"
  echo "machine $(cat /etc/machine-id)"
  for p in $changes; do echo "changed $p"; done
  printf %b "$did"
}
