# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# The API server's file of static tokens on a control-plane host. Lines of others stay, byte for byte.
# Which lines are ours is on record as their sums: when a line takes the place of another one, of an
# earlier token, user or file, nobody knows that one any more. The file stays when our line goes, empty
# if it must: an API server whose --token-auth-file is not there does not start.
# The rendered text sets node (the host's id), owner, file and user before this.
state=/var/lib/kube-nodes
record=$state/token-file.$owner

recover() { mkdir -p "$state" && touch "$record" || die "cannot write $record"; }

# note TEXT: on record before it is done, so that a run that is killed leaves nothing unknown.
note() { grep -qxF -e "$1" "$record" || echo "$1" >>"$record" || die "cannot write $record"; }

sum() { printf '%s\n' "$1" | sha256sum | cut -d ' ' -f 1; }

# others FILE: its lines but ours.
others() {
  while IFS= read -r l || [ -n "$l" ]; do
    grep -qxF "line $(sum "$l")" "$record" || printf '%s\n' "$l" || return
  done <"$1"
}

# check FILE: whose it is stays, so the API server's own user can go on reading it.
check() {
  exists "$1" || return 0
  [ -f "$1" ] && [ ! -L "$1" ] || die "$1 is no plain file; give the path of the file itself"
  case $(stat -c 0%a "$1") in
  *00) ;;
  *) die "others may read $1; make it 0600, owned by the API server's user. Nothing was changed" ;;
  esac
}

# rewrite FILE LINE: the lines of others, then ours, in one step.
rewrite() {
  paths=$1 n=$1.kn-new
  exists "$1" || [ -n "$2" ] || return 0
  (umask 022 && mkdir -p "${1%/*}") || die "cannot make the folder of $1"
  rm -f "$n"
  {
    { ! exists "$1" || others "$1"; } && { [ -z "$2" ] || printf '%s\n' "$2"; }
  } 2>/dev/null >"$n" && sync "$n" || die "cannot write $n; is the disk full?"
  ! exists "$1" || { chown --reference="$1" "$n" && chmod --reference="$1" "$n"; } || die "cannot own $n"
  if cmp -s "$1" "$n"; then rm "$n"; return; fi
  mv -fT "$n" "$1" || die "cannot replace $1"
  changes="$changes $1"
}

# own: take our line from stdin, and make it the only one of ours in all files on record.
own() {
  IFS= read -r line
  files="$file $(sed -n 's/^file //p' "$record" | grep -vxF "$file" | tr '\n' ' ')"
  for f in $files; do check "$f"; done
  if [ "$action" = apply ] && exists "$file"; then
    ! others "$file" | cut -d , -f 2 | tr -d '" ' | grep -xF "$user" >/dev/null ||
      die "$file holds another token of user $user; remove that line, or set staticToken.user to another name"
  fi
  note "file $file"
  note "line $(sum "$line")"
  [ "$action" = apply ] || line=''
  for f in $files; do
    if [ "$f" = "$file" ]; then rewrite "$f" "$line"; else rewrite "$f" ''; fi
  done
}

finish() {
  if [ "$action" = apply ]; then
    printf 'file %s\nline %s\n' "$file" "$(sum "$line")" >"$record.new" && mv "$record.new" "$record" ||
      die "cannot write $record"
  else
    rm -f "$record"
    rmdir "$state" 2>/dev/null
  fi
  for p in $changes; do
    echo "$node: changed $p; kube-apiserver reads it when it starts: restart it when it suits you"
  done
}
