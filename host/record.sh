# shellcheck shell=sh disable=SC2013,SC2015,SC2034,SC2046,SC2086,SC2154
# What is ours on a host: every path that the units script made is on record in $list.
# .kn-orig beside a file is the host's own from before us, which comes back in the end.
state=/var/lib/kube-nodes
list=$state/units.list
sent=$state/sent
journal=$state/units.journal

# load: what is on record, with old from a run that did not end.
load() {
  mkdir -p "$state" && touch "$list" || full "$list"
  old=$(tr -d '?' <"$list" | tr '\n' ' ') ours=$(grep -v '^?' "$list" | tr '\n' ' ')
}

# note PATH: what we make is on record before it is made, so that a later run can remove it. A ? says
# that it is not, or no longer, there: what stands there is the host's own.
note() { grep -qxF -e "$1" -e "?$1" "$list" || echo "?$1" >>"$list" || full "$list"; }

# place PATH: record it, and make the folders above it, on record too where they were not there.
place() {
  note "$1"
  d=$1
  while d=${d%/*} && [ -n "$d" ] && [ ! -d "$d" ]; do note "$d/"; done
  (umask 022 && mkdir -p "${1%/*}") || die "cannot make the folder of $1"
}

# stale: what an earlier run made and nobody declares any more is a change, too.
stale() {
  for p in $old; do
    case $p in */) continue ;; esac
    has "$paths" "$p" && continue
    rm -f "$p.kn-new" "$p.kn-part"
    if ! has "$ours" "$p"; then original "$p"; elif exists "$p"; then changes="$changes $p"; fi
  done
}

# original PATH: give back the host's own file.
original() { ! exists "$1.kn-orig" || mv -fT "$1.kn-orig" "$1"; }

# keep PATH...: what is declared is ours now; the paths given are not any more.
keep() {
  set -- $(grep '/$' "$list" | tr -d '?') $paths $(for p in "$@"; do echo "?$p"; done)
  printf '%s\n' "$@" >"$list.new" && mv "$list.new" "$list" || full "$list"
}

# settled: what is there stays; with the journal the way back goes.
settled() {
  gone=''
  for p in $changes; do has "$paths" "$p" || gone="$gone $p"; done
  keep $gone
  open=''
  rm -rf "$journal" "$sent" "$state/restart"
  for p in $changes; do rm -f "$p.kn-old"; done
  for p in $gone; do original "$p"; done
  [ -z "$gone" ] || keep
  result
}
