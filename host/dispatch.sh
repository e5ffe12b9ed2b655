# shellcheck shell=sh disable=SC1091
# The end of what is sent to a host once: before it each part of this folder stands as a function
# kn_NAME, after it receiver.sh, which calls this file again, with `run`, for the script it saved.
# $1 is apply or remove, $2 the time limit in seconds; NO_SUDO is replaced when it is rendered.

# use PART...: what the script calls is in them.
use() { for kn in "$@"; do "kn_$kn"; done; }

if [ "$1" = run ]; then
  shift
  . /dev/fd/4
  exit
fi
if [ "$(id -u)" != 0 ]; then
  # Where sudo refuses, stdin is still to be read, or its message is lost; it has no remedy.
  sudo -n sh "$0" "$@" || {
    rc=$?
    cat >/dev/null
    sudo -n true 2>/dev/null || echo NO_SUDO >&2
    exit "$rc"
  }
  exit
fi
