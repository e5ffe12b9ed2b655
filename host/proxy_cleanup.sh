# shellcheck shell=sh disable=SC2034,SC2154
# Only the units script: what kube-proxy wrote into the kernel outlives it, and another mode does not
# see it. So each change of the mode, also one that is taken back, ends the old mode first, by the
# program that wrote its rules. Whether it changes is read from the files that are there and those
# that will be: a run that was killed in between does it again.

# proxy_files [SUFFIX GONE]: those of kube-proxy that say program and mode, as they are; or as they
# will be, when what stands there with SUFFIX has taken its place and GONE is gone.
proxy_files() {
  for p in $old $paths; do
    case $p in */kube-proxy/config.conf | */kube-proxy.service) ;; *) continue ;; esac
    if exists "$p$1"; then echo "$p$1"; elif ! has "$2" "$p"; then echo "$p"; fi
  done
}

# mode_of: the field, or up to 1.9 the flag.
mode_of() {
  proxy_files "$@" | xargs sed -n 's/^mode: *//p; s/.*--proxy-mode=\([a-z]*\).*/\1/p' /dev/null 2>/dev/null | tail -n 1
}

# cleanup: its exit status tells little (it fails where a program of another mode is missing).
cleanup() {
  b=$(proxy_files | xargs sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' /dev/null 2>/dev/null | tail -n 1)
  said=$(timeout 60 "${b:-kube-proxy}" --cleanup 2>&1 | grep -E '^[EF][0-9]{4} ' | tail -n 1 | tr -cd '[:print:]' | cut -c 1-400)
}

# clear_mode SUFFIX GONE: fails if rules of the old mode are still there.
clear_mode() {
  mode=$(mode_of)
  [ -n "$mode" ] && [ "$mode" != "$(mode_of "$@")" ] || return 0
  systemctl stop kube-proxy 2>/dev/null
  cleanup
  case $mode in
  nftables) ! nft list tables 2>/dev/null | grep -q ' kube-proxy$' ;;
  *) ! { iptables-save; ip6tables-save; } 2>/dev/null | grep -qE '^:KUBE-(SERVICES|PORTALS-HOST) ' ;;
  esac
}
