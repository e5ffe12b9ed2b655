#!/bin/sh
# The measured work, written by hand for speed: one connection a host, all hosts at once.
# host.sh FOLDER: in it hosts ("NAME ADDRESS" a line), templates/ and ssh_config.
set -eu
cd "$1"

remote=$(cat <<'REMOTE'
set -eu
umask 077
new=$(mktemp -d /run/by-hand.XXXXXX)
trap 'rm -rf "$new"' EXIT
tar -xC "$new"
for program in kubelet kube-proxy; do
  [ "$(/usr/local/bin/$program --version)" = "Kubernetes v1.37.2" ]
done
install -d -m 0755 /etc/kubernetes /etc/kubernetes/pki
install -d -m 0700 /etc/kubernetes/manifests /var/lib/kube-proxy /var/lib/kubelet
reload='' restart=''

# put PATH MODE UNITS
put() {
  if cmp -s "$new/${1##*/}" "$1" && [ "$(stat -c 0%a:%u:%g "$1")" = "$2:0:0" ]; then return; fi
  install -m "$2" "$new/${1##*/}" "$1.new" && mv "$1.new" "$1"
  restart="$restart $3"
  case $1 in *.service) reload=1 ;; esac
}

put /etc/kubernetes/pki/ca.crt 0644 'kubelet kube-proxy'
put /etc/systemd/system/kubelet.service 0600 kubelet
put /var/lib/kubelet/config.yaml 0600 kubelet
put /etc/systemd/system/kube-proxy.service 0600 kube-proxy
put /var/lib/kube-proxy/config.conf 0600 kube-proxy
put /etc/kubernetes/bootstrap-kubelet.conf 0600 ''
put /etc/kubernetes/proxy.conf 0600 kube-proxy
[ -z "$reload" ] || systemctl daemon-reload
[ "$(systemctl is-enabled kubelet kube-proxy 2>/dev/null)" = "enabled
enabled" ] || systemctl -q enable kubelet kube-proxy
[ -z "${restart# }" ] || systemctl restart $restart
systemctl start kubelet kube-proxy
[ "$(systemctl is-active kubelet kube-proxy)" = "active
active" ]
REMOTE
)

# apply NAME ADDRESS
apply() {
  files=$(mktemp -d)
  trap 'rm -rf "$files"' EXIT
  for template in templates/*; do
    sed -e "s/{{ node_name }}/$1/g" -e "s/{{ node_address }}/$2/g" "$template" \
      >"$files/${template##*/}"
  done
  tar -C "$files" -c . | ssh -F ssh_config "$2" "$remote"
}

running=''
while read -r name address; do
  (apply "$name" "$address") &
  running="$running $!"
done <hosts
failed=0
for pid in $running; do wait "$pid" || failed=1; done
exit "$failed"
