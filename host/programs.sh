# shellcheck shell=sh disable=SC2015,SC2034,SC2086,SC2154
# Only the units script: kubelet and kube-proxy, from URLs, from the operator's machine, or there already.

sum() { echo "$2  $1" | "sha$((${#2} * 4))sum" -c --status 2>/dev/null; }

# binary PATH VERSION SUM UNITS SOURCE...: a right one is left alone; one that was there before us stays
# the host's own. Without a sum it is there already, and has to be of the version.
binary() {
  [ "$action" = apply ] || return 0
  [ -n "$3" ] || is "$1" "$1" "$2" "install that version, or declare binaries"
  for u in $4; do
    m=$(systemctl show -p MainPID --value "$u")
    case $3:$(readlink "/proc/$m/exe") in
    *":$1 (deleted)") need="$need $u" ;;
    :*) [ "$m" = 0 ] || [ "$(inode "/proc/$m/exe")" = "$(inode "$1")" ] || need="$need $u" ;;
    esac
  done
  if [ -z "$3" ] || sum "$1" "$3"; then
    ! has "$ours" "$1" || paths="$paths $1"
    [ -z "$again" ] || need="$need $4"
    [ -z "$3" ] || { chown 0:0 "$1" && chmod 755 "$1"; }
    return
  fi
  paths="$paths $1"
  place "$1"
  p=$1 v=$2 s=$3 u=$4
  shift 4
  get "$@"
  mv -fT "$p.kn-part" "$p.kn-new" && chmod 755 "$p.kn-new"
  is "$p.kn-new" "$p" "$v" "correct the version, or what is declared for it"
  staged "$p" 0755 "$u"
}

inode() { stat -Lc %d:%i "$1" 2>/dev/null; }

# is FILE PATH VERSION REMEDY: a program of another version, or of another processor, goes no further.
is() {
  e=$(version "$1")
  [ "$e" = "Kubernetes $3" ] || die "$2 is $e, not Kubernetes $3; $4. Nothing was changed"
}

# get SOURCE...: make $p.kn-part, from the first source that has what the sum $s asks for.
get() {
  f=''
  for d in "$@"; do
    download "$p.kn-part" "$d" && return
    f="$f; $d: $e"
  done
  die "cannot get ${p##*/}: ${f#; }. Nothing was changed"
}

# follow: until curl has ended; after 3 s, and then every 10 s, say how far it is. The whole is the
# largest number in the headers: parts and redirections have lengths of their own.
follow() {
  t=0
  while kill -0 "$!"; do
    sleep 0.1
    t=$((t + 1))
    [ $((t % 100)) = 30 ] || continue
    a=$(sed -nE 's/^content-(length:|range:.*[/]) *//Ip' "$h" | sort -n | tail -n 1 | tr -cd 0-9)
    echo "$node: ${p##*/}: $(stat -c %s "$p.kn-part") of $a bytes from $d" >&3
  done 2>/dev/null
  wait "$!"
}

# download FILE SOURCE: go on with a part of an earlier try; a part of something else starts anew. $e is
# why it failed.
download() {
  n=0 h=/run/kube-nodes.head
  until sum "$1" "$s"; do
    case $2 in
    /*)
      e=$(cp "$2" "$1" 2>&1) && sum "$1" "$s" && return
      rm -f "$1"
      e="${e:-is not what was sent}; raise the node's reapply to have it sent again"
      return 1
      ;;
    esac
    n=$((n + 1)) c=''
    [ ! -s "$1" ] || c='-C -'
    {
      e=$(curl -q -fsSL $c --proto =http,https --connect-timeout 10 --speed-limit 1000 --speed-time 20 \
        --max-filesize 1000000000 --retry 3 -D "$h" -o "$1" "$2" 2>&1 &
        follow)
      r=$?
    } 3>&2
    rm -f "$h"
    e=$(echo "$e" | tail -n 1 | tr -cd '[:print:]' | cut -c 1-200)
    case $c:$r in
    # All of it, or a part that the server can't go on with.
    ?*:0 | ?*:22 | ?*:33 | ?*:36) sum "$1" "$s" || rm -f "$1" ;;
    :0)
      ! sum "$1" "$s" || return 0
      e="has the sum $("sha$((${#s} * 4))sum" <"$1" | cut -d ' ' -f 1), not $s; correct the URL or the sum"
      rm -f "$1"
      return 1
      ;;
    # Cut off: the part is good, for now or for the next run.
    *:18 | *:28 | *:52 | *:55 | *:56) [ "$n" -lt 5 ] || return 1 ;;
    # No room: what is there of it would keep others from theirs.
    *:23) rm -f "$1"; return 1 ;;
    *) return 1 ;;
    esac
  done
}
