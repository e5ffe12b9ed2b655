# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# Only the units script: a transaction over files, programs and units, with a journal in $journal:
# "= PATH" was there before and ours, "+ PATH" the host's own, "- PATH" not there. Its removal is the
# commit; until then the next run puts .kn-old back.
reload=''

# Where there is an epoch, renewal.sh has its own; take_over.sh where a node is adopted.
renew() { :; }
renewed() { :; }
take() { :; }
untake() { :; }
taken() { :; }

recover() {
  load
  rm -f "$journal.new" "$state/generation.new" "$conf.kn-new"
  kept
  [ ! -e "$journal" ] || { revert && again=1 reload=1; }
  for p in $old; do rm -f "$p.kn-old"; done
}

revert() {
  clear_mode .kn-old "$(sed -n 's/^- //p' "$journal" | tr '\n' ' ')"
  while read -r was p; do
    [ "$was" != = ] || ours="$ours $p"
    if [ "$was" = - ]; then drop "$p"; elif exists "$p.kn-old"; then mv -fT "$p.kn-old" "$p"; fi
    # It is in its place again; of a host whose record is lost it may be an older one.
    [ ! "$p" -ef "$p.kn-orig" ] || rm "$p.kn-orig"
  done <"$journal"
}

undo() {
  kept
  [ ! -e "$journal" ] || revert
  untake
  reload=1
  restart
  rm -f "$journal"
}

dir() {
  [ "$action" = apply ] || return 0
  [ -d "$1" ] || place "$1/"
  chown 0:0 "$1" && chmod "$2" "$1" || die "cannot set the mode of $1"
}

# drop PATH: remove a file; a unit is stopped first, and what kube-proxy wrote into the kernel goes.
drop() {
  case $1 in
  */systemd/system/*.service)
    u=${1##*/} reload=1
    systemctl -q disable --now "$u" 2>/dev/null
    ! systemctl -q is-active "$u" || die "$u does not stop"
    [ "$u" != kube-proxy.service ] || cleanup
    ;;
  esac
  rm -f "$1" || die "cannot remove $1"
}

commit() {
  set --
  for p in $changes; do
    rm -f "$p.kn-old"
    if ! exists "$p"; then w=-; elif has "$ours" "$p"; then w='='; else w=+; fi
    set -- "$@" "$w $p"
  done
  printf '%s\n' "$@" >"$journal.new" && sync "$journal.new" && mv "$journal.new" "$journal" || full "$journal"
  open=1
  clear_mode .kn-new "$changes" || die "rules of kube-proxy's mode $mode stay: ${said:-kube-proxy --cleanup says nothing}"
  for p in $changes; do
    case $p in */systemd/system/*) reload=1 ;; esac
    ! exists "$p" || ln "$p" "$p.kn-old" || die "cannot keep $p"
    if ! has "$ours" "$p" && exists "$p" && ! exists "$p.kn-orig"; then ln "$p" "$p.kn-orig"; fi
    if [ -e "$p.kn-new" ]; then mv -fT "$p.kn-new" "$p" || die "cannot replace $p"; else drop "$p"; fi
  done
}

# restart: the units in $need that there are.
restart() {
  [ -z "$reload" ] || systemctl daemon-reload || die "systemctl daemon-reload failed"
  there=''
  for u in $need; do
    ! systemctl -q cat "$u" >/dev/null 2>&1 || there="$there $u"
  done
  need=$there
  # shellcheck disable=SC2086
  switch_on $need
  turn
}

# switch_on UNIT...: those of them that are not.
switch_on() {
  off=''
  for u in "$@"; do systemctl -q is-enabled "$u" 2>/dev/null || off="$off $u"; done
  # shellcheck disable=SC2086
  [ -z "$off" ] || { systemctl -q unmask $off; systemctl -q enable $off; } 2>/dev/null
}

# alone UNIT: drop-ins of a unit of ours are kept aside, as the host's own; systemd knows what is there.
alone() {
  case "$paths " in *"/$1.service "*) ;; *) return 0 ;; esac
  systemctl show -p NeedDaemonReload "$1" | grep -q =no || reload=1
  # shellcheck disable=SC2044
  for p in $ours $(find /etc/systemd /run/systemd /usr/lib/systemd /usr/local/lib/systemd -path "*/$1.service.d/*.conf" 2>/dev/null); do
    case $p in */"$1.service.d"/*) ;; *) continue ;; esac
    has "$paths" "$p" || paths="$paths $p"
    ! exists "$p" || has "$changes" "$p" || { note "$p" && changes="$changes $p" need="$need $1" reload=1; }
  done
}

# why UNIT: its own last error line, without control characters.
why() {
  n=0 e=''
  # What a service wrote just before it ended can reach the journal after systemd's word of its end.
  while [ -z "$e" ] && [ "$n" -lt 20 ]; do
    [ "$n" = 0 ] || sleep 0.1
    n=$((n + 1))
    j=$(journalctl -q --no-pager -o cat -u "$1" --since "@$since" -n 2000 2>/dev/null)
    e=$(echo "$j" | grep -E '^[EF][0-9]{4} ')
  done
  e=${e:-$(echo "$j" | grep -E 'rror|panic')}
  echo "${e:-$j}" | tail -n 1 | tr -cd '[:print:]' | cut -c 1-400
}

finish() {
  [ "$action" = apply ] || { remove; return; }
  for u in $units; do
    alone "${u%%=*}"
    systemctl -q is-active "${u%%=*}" || need="$need ${u%%=*}"
  done
  stale
  need="$need $(cat "$state/restart" 2>/dev/null)"
  ! unknown || need="$need kubelet"
  renew
  take
  [ -z "$changes" ] || commit
  [ -z "${need# }$reload" ] || restart
  for u in $units; do switch_on "${u%%=*}"; done
  if ! await_all; then
    e=$(why "$u")
    die "$u did not come up: ${e:-its journal says nothing}${open:+; what was there before is put back}"
  fi
  renewed
  settled
  taken
}

# remove: what is ours by the record, and the life that began with it; nothing is taken on trust from
# what is declared, because the host's own may stand there again.
remove() {
  for p in $ours; do case $p in *.service) drop "$p" ;; esac; done
  [ ! -e "$state/generation" ] || clear_life
  for p in $ours; do [ -d "$p" ] || drop "$p"; done
  paths=''
  # shellcheck disable=SC2086
  keep $old
  for p in $old; do rm -f "$p.kn-new" "$p.kn-old" "$p.kn-part" && original "$p"; done
  for p in $(echo "$old" | tr ' ' '\n' | sort -r); do [ ! -d "$p" ] || rmdir "$p" 2>/dev/null; done
  [ -z "$reload" ] || systemctl daemon-reload
  rm -rf "$state/generation" "$state/certificates" "$state/restart" "$list" "$sent"
  rmdir "$root" "$state" 2>/dev/null
  result
}
