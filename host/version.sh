# shellcheck shell=sh
# version PATH: what a program says it is, such as "Kubernetes v1.37.2"; bounded, on one line.
version() {
  [ -x "$1" ] || { echo 'not there'; return; }
  v=$(timeout 20 "$1" --version </dev/null 2>&1 | head -c 100 | head -n 1 | tr -cd '[:print:]')
  case $v in 'Kubernetes v'*) echo "$v" ;; *) echo 'no program of Kubernetes for this host' ;; esac
}
