# shellcheck shell=sh disable=SC2154
# Takes files that the operator's machine sends: says what is lacking, and how much of it is here.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
keep='' lacks=''

sum() { echo "$2  $1" | "sha$((${#2} * 4))sum" -c --status 2>/dev/null; }

# begin: the folder is root's alone, and no link to somewhere else.
begin() {
  [ ! -L "$folder" ] && (umask 022 && mkdir -p "$folder") && chown 0:0 "$folder" && chmod 0700 "$folder" && return
  echo "$node: cannot make $folder; is the disk full?" >&2
  exit 1
}

# sent PATH SUM: a program in its place, or in the folder, is not sent again.
sent() {
  f=$folder/$(echo "$2" | cut -c 1-16)
  keep="$keep $f"
  ! sum "$1" "$2" || { rm -f "$f" "$f.part"; return; }
  ! sum "$f" "$2" || return 0
  rm -f "$f"
  if sum "$f.part" "$2"; then
    mv "$f.part" "$f"
  else
    lacks=1
    echo "lacks ${f##*/} $(stat -c %s "$f.part" 2>/dev/null || echo 0)"
  fi
}

# finish: what an earlier run sent, and nobody declares any more, goes.
finish() {
  for f in "$folder"/*; do
    case "$keep " in *" ${f%.part} "*) ;; *) rm -f "$f" ;; esac
  done
  [ -n "$lacks" ] || rmdir "$folder" "${folder%/*}" 2>/dev/null || :
}
