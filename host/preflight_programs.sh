# shellcheck shell=sh disable=SC2154
# programs: those that are to be there already, each of its version.
programs() {
  for p in $programs; do
    e=$(version "${p%=*}")
    [ "$e" = "Kubernetes ${p#*=}" ] ||
      found "${p%=*}" "$e" "it has to be Kubernetes ${p#*=}" "install that version, or declare binaries"
  done
}
