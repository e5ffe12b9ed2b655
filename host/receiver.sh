# shellcheck shell=sh disable=SC2015,SC2094,SC3045
# What every remote command runs: a constant, so that nothing secret is in the command string.
# It saves all of stdin before anything can fail (a command that ends earlier loses its own error
# message), in a file on tmpfs that has no name any more: however the run ends, nothing stays, and no
# core dump of it either.
# SECONDS and COMMAND are replaced when it is rendered, and the lines joined: each ends its command.
umask 077; ulimit -c 0;
f=$(mktemp /run/kube-nodes.XXXXXX) && exec 3>"$f" 4<"$f" && rm "$f" && cat >&3 && exec 3>&- ||
{ echo "cannot save the script on /run" >&2; cat >/dev/null; exit 1; };
[ "$(tail -n 1 /dev/fd/4)" = "# end" ] || { echo "the script arrived cut short" >&2; exit 1; };
TMPDIR=/run exec timeout -k 10 SECONDS COMMAND
