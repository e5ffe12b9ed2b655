# shellcheck shell=sh disable=SC2015,SC2154,SC2034
# What only the units script does: binaries by URL, and units that are not running.

sum() { echo "$2  $1" | sha256sum -c --status 2>/dev/null; }

# binary PATH URL SHA256 UNITS: a right one is left alone; one that was there before us stays the host's own.
binary() {
  case $1 in */kube-proxy) proxy=$1 ;; esac
  [ "$action" = apply ] || return 0
  if sum "$1" "$3"; then
    ! grep -qxF "$1" "$list" 2>/dev/null || paths="$paths $1"
    chown 0:0 "$1" && chmod 755 "$1"
    return
  fi
  paths="$paths $1"
  note "$1"
  parents "$1"
  download "$1.kn-part" "$2" "$3"
  chown 0:0 "$1.kn-part" && chmod 755 "$1.kn-part" && mv -fT "$1.kn-part" "$1.kn-new" || die "cannot stage $1"
  staged "$1" "$4"
}

# download FILE URL SHA256: go on with a part of an earlier run; a part of something else starts anew.
download() {
  until sum "$1" "$3"; do
    go=''
    [ ! -s "$1" ] || go='-C -'
    # shellcheck disable=SC2086
    e=$(curl -q -fsSL $go --proto =http,https --connect-timeout 10 --speed-limit 1000 --speed-time 20 \
      --retry 3 -o "$1" "$2" 2>&1)
    rc=$?
    ! sum "$1" "$3" || break
    case $go:$rc in
    ?*:0 | ?*:22 | ?*:33 | ?*:36) rm -f "$1" ;;
    :0)
      e=$(sha256sum <"$1")
      rm -f "$1"
      die "$2 has the SHA-256 ${e%% *}, not $3; nothing was changed. Correct the URL or the sum"
      ;;
    *) die "cannot download $2: $(echo "$e" | tail -n 1 | tr -cd '[:print:]' | cut -c 1-200); nothing was changed" ;;
    esac
  done
}

# wanted: a unit that does not run is restarted too, whatever changed.
wanted() {
  for u in $units; do
    systemctl -q is-active "${u%%=*}" || need="$need ${u%%=*}"
  done
}

removing() { :; }
