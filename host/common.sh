# shellcheck shell=sh disable=SC2013,SC2015,SC2154
# What every changing script shares: one run at a time on a host, and a transaction over files.
# The rendered text sets action, node, part, units and wait before this, then calls `begin`, one
# function for each thing (put, binary, dir), and `finish`.
# Paths hold no white space (the renderer sees to it), so lists of them are words.
# Beside a file: .kn-new is staged, .kn-old is the one before, .kn-part is a download.
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/kube-nodes
list=$state/$part.list
undo=$state/undo
identity=$root/pki/kubelet-client-current.pem
paths='' changes='' need='' reload='' open='' did=''

die() {
  printf '%s: %s\n' "$node" "$*" >&2
  exit 1
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

has() { case " $1 " in *" $2 "*) ;; *) false ;; esac; }

# note PATH: what we make is on record before it is made, so that a later run can remove it.
note() { grep -qxF "$1" "$list" 2>/dev/null || echo "$1" >>"$list"; }

# parents PATH: make the folders above it, and record those that were not there.
parents() {
  d=$1
  while d=${d%/*} && [ -n "$d" ] && [ ! -d "$d" ]; do note "$d/"; done
  (umask 022 && mkdir -p "${1%/*}") || die "cannot make the folder of $1"
}

dir() {
  [ "$action" = apply ] || return 0
  parents "$1/"
  chown 0:0 "$1" && chmod "$2" "$1" || die "cannot set the mode of $1"
}

# put PATH MODE UNITS: stage stdin beside PATH; it has its owner and mode before its name.
put() {
  paths="$paths $1"
  [ "$action" = apply ] || return 0
  note "$1"
  parents "$1"
  [ ! -d "$1" ] || die "$1 is a folder, a file has to go there; move it away"
  rm -f "$1.kn-new"
  cat >"$1.kn-new" && chown 0:0 "$1.kn-new" && chmod "$2" "$1.kn-new" || die "cannot write $1"
  staged "$1" "$3"
}

staged() {
  if [ ! -L "$1" ] && cmp -s "$1" "$1.kn-new"; then
    if [ "$(stat -c %a:%u:%g "$1")" = "$(stat -c %a:%u:%g "$1.kn-new")" ]; then
      rm -f "$1.kn-new"
      return
    fi
  else
    need="$need $2"
  fi
  sync "$1.kn-new"
  changes="$changes $1"
}

# drop PATH: remove a file; a unit is stopped first.
drop() {
  case $1 in
  */systemd/system/*.service)
    u=${1##*/}
    reload=1
    systemctl -q disable --now "$u" 2>/dev/null
    ! systemctl -q is-active "$u" || die "$u does not stop"
    [ "$u" != kube-proxy.service ] || timeout 60 "${proxy-kube-proxy}" --cleanup >/dev/null 2>&1
    ;;
  esac
  rm -f "$1" || die "cannot remove $1"
}

begin() {
  # A cut connection must not stop it half-way; a signal or the time limit puts back.
  trap '' HUP PIPE
  trap 'die "stopped by a signal or the time limit"' INT TERM
  trap leave EXIT
  mkdir -p "$state" || die "cannot make $state"
  exec 9>/run/kube-nodes.lock
  flock -w 120 9 || die "another run works on this host (lock /run/kube-nodes.lock); run again when it has ended"
  if [ -e "$undo" ]; then
    # An earlier run was killed in the middle.
    revert
    reload=1
  fi
  for p in $(cat "$list" 2>/dev/null); do rm -f "$p.kn-old"; done
}

leave() {
  rc=$?
  trap - EXIT
  trap '' INT TERM
  for p in $paths; do rm -f "$p.kn-new"; done
  [ -z "$open" ] || { revert && restart && rm -f "$undo"; }
  exit "$rc"
}

# revert: put back what $undo lists. It can be cut and run again at any point.
revert() {
  while read -r was p; do
    case $was in
    +) ! exists "$p.kn-old" || mv -fT "$p.kn-old" "$p" ;;
    -) drop "$p" ;;
    *) need="$need $p" ;;
    esac
  done <"$undo"
}

commit() {
  for p in $changes; do
    rm -f "$p.kn-old"
    if exists "$p"; then echo "+ $p"; else echo "- $p"; fi
  done >"$undo.new"
  for u in $need; do echo "! $u"; done >>"$undo.new"
  sync "$undo.new" && mv "$undo.new" "$undo" || die "cannot write $undo"
  open=1
  for p in $changes; do
    case $p in */systemd/system/*) reload=1 ;; esac
    ! exists "$p" || ln "$p" "$p.kn-old" || die "cannot keep $p"
    if [ -e "$p.kn-new" ]; then mv -fT "$p.kn-new" "$p" || die "cannot replace $p"; else drop "$p"; fi
  done
}

# restart: the units in $need, in the order of $units, that have a unit file.
restart() {
  [ -z "$reload" ] || systemctl daemon-reload || die "systemctl daemon-reload failed"
  now='' off=''
  for u in $units; do
    u=${u%%=*}
    has "$need" "$u" && systemctl -q cat "$u" >/dev/null 2>&1 || continue
    now="$now $u"
    systemctl -q is-enabled "$u" 2>/dev/null || off="$off $u"
  done
  # shellcheck disable=SC2086
  [ -z "$off" ] || systemctl -q enable $off 2>/dev/null
  since=$(date +%s.%N)
  for u in $now; do
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

# await UNIT SECONDS URL: until it answers. While the host has no identity in the cluster, a unit that
# waits for its own (kube-proxy: for the Node) need not answer: to live so many seconds is enough.
await() {
  while lives "$1"; do
    up=$(($(date +%s) - ${since%.*}))
    [ -z "$3" ] || ! curl -q -fs -m 2 --noproxy '*' -o /dev/null "$3" || return 0
    [ -n "$3" ] && [ -e "$identity" ] || [ "$up" -lt "$2" ] || return 0
    [ "$up" -lt "$wait" ] || return 1
    sleep 0.1
  done
  return 1
}

# why UNIT: its own last error line, without control characters.
why() {
  journalctl --sync 2>/dev/null
  j=$(journalctl -q --no-pager -o cat -u "$1" --since "@$since" -n 200 2>/dev/null)
  e=$(echo "$j" | grep -E '^[EF][0-9]|rror|panic')
  echo "${e:-$j}" | tail -n 1 | tr -cd '[:print:]' | cut -c 1-400
}

finish() {
  if [ "$action" = remove ]; then
    remove
    return
  fi
  old=$(grep -v '/$' "$list" 2>/dev/null)
  for p in $old; do
    has "$paths" "$p" && continue
    rm -f "$p.kn-new" "$p.kn-part"
    ! exists "$p" || changes="$changes $p"
  done
  wanted
  [ -z "$changes" ] || commit
  [ -z "$need$reload" ] || restart
  for u in $units; do
    has "$need" "${u%%=*}" || continue
    s=${u#*=}
    await "${u%%=*}" "${s%%=*}" "${s#*=}" || fail "${u%%=*}"
  done
  for u in $units; do ! has "$need" "${u%%=*}" || lives "${u%%=*}" || fail "${u%%=*}"; done
  open=''
  rm -f "$undo"
  for p in $changes; do rm -f "$p.kn-old"; done
  { grep '/$' "$list" 2>/dev/null; for p in $paths; do echo "$p"; done; } >"$list.new" && mv "$list.new" "$list"
  result
}

# result: an id of this run, which makes what depends on it run too; the machine; what was done.
result() {
  echo "run $(cat /proc/sys/kernel/random/uuid)"
  echo "machine $(cat /etc/machine-id)"
  for p in $changes; do echo "changed $p"; done
  printf %b "$did"
}

# fail UNIT: say why it did not come up, and what the host is left with.
fail() {
  line=$(why "$1")
  kept='no file was changed'
  if [ -n "$open" ]; then
    revert
    reload=1
    restart
    kept='what was there before is back'
    open=''
    rm -f "$undo"
  fi
  die "$1 did not come up: ${line:-it says nothing in its journal}; $kept"
}

remove() {
  all=$({ cat "$list" 2>/dev/null; for p in $paths; do echo "$p"; done; } | sort -ru)
  for p in $all; do case $p in *.service) drop "$p" ;; esac; done
  removing
  for p in $all; do
    case $p in
    */) rmdir "$p" 2>/dev/null ;;
    *) drop "$p"; rm -f "$p.kn-new" "$p.kn-old" "$p.kn-part" ;;
    esac
  done
  [ -z "$reload" ] || systemctl daemon-reload
  rm -f "$list"
  rmdir "$state" 2>/dev/null
  result
}
