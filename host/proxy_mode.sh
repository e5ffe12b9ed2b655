# shellcheck shell=sh disable=SC2154
# What kube-proxy's mode needs of a host. It is really tried, in a network namespace that is thrown
# away: the host's own rules stay as they are, and what is built into the kernel counts like a module.
# Only the mode's own file (proxy_<backend>.sh) travels with this one; its functions are called here.

# proxy_mode: families is "4", "6" or both; conntrack says whether the version runs that program.
proxy_mode() {
  for f in $families; do
    [ "$f" = 4 ] || { [ -e /proc/net/if_inet6 ] && [ "$(cat /proc/sys/net/ipv6/conf/all/disable_ipv6)" != 1 ]; } ||
      found IPv6 off "podCidrs has an IPv6 range" "turn IPv6 on in the kernel, or give podCidrs of IPv4 alone"
  done
  [ "$conntrack" = no ] || needs conntrack "before 1.32 kube-proxy runs it to end stale UDP flows"
  needs unshare "the tries of this check run in it" || return
  for each in $proxy_needs; do "needs_$each"; done
}

# needs PROGRAM [WHY]
needs() {
  command -v "$1" >/dev/null ||
    found "$1" "not found in $PATH" "${2:-kube-proxy in mode $proxy_mode runs it}" "install it, or choose another proxyMode"
  command -v "$1" >/dev/null
}

# tried COMMAND...: run it in a namespace of its own; $e is the first line of what it said.
tried() {
  e=$(XTABLES_LOCKFILE=/dev/null unshare -n "$@" 2>&1) && return
  e=$(echo "${e:-it failed}" | head -n 1 | tr -cs '[:print:]' ' ' | cut -c 1-200)
  false
}

# least VERSION LEAST
least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }
