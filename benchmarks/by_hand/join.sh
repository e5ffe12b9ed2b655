#!/bin/sh
# The bare sequence of a join, by hand with ssh and kubectl: join.sh FOLDER.
# In the folder: hosts ("NAME ADDRESS" a line), ssh_config, templates/, manifests.yaml, ca.crt, ca.key
# and programs ("NAME URL SHA256" a line). KUBECONFIG is the operator's.
set -eu
cd "$1"
service=10.96.77.77

remote=$(cat <<'REMOTE'
set -eu
umask 077
new=$(mktemp -d /run/by-hand.XXXXXX)
trap 'rm -rf "$new"' EXIT
tar -xC "$new"
while read -r program url sum; do
  curl -fsS -o "$new/$program" "$url"
  echo "$sum  $new/$program" | sha256sum -c --status
  install -m 0755 "$new/$program" "/usr/local/bin/$program"
done <"$new/programs"
install -d -m 0755 /etc/kubernetes /etc/kubernetes/pki
install -d -m 0700 /etc/kubernetes/manifests /var/lib/kube-proxy /var/lib/kubelet
install -m 0644 "$new/ca.crt" /etc/kubernetes/pki/ca.crt
install -m 0600 "$new/kubelet.service" "$new/kube-proxy.service" /etc/systemd/system/
install -m 0600 "$new/config.yaml" /var/lib/kubelet/config.yaml
install -m 0600 "$new/config.conf" /var/lib/kube-proxy/config.conf
install -m 0600 "$new/bootstrap-kubelet.conf" "$new/proxy.conf" /etc/kubernetes/
systemctl daemon-reload
systemctl -q enable --now kubelet kube-proxy
REMOTE
)

random() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# token ID SECRET: one that is open for ten minutes.
token() {
  kubectl create -f - <<YAML
apiVersion: v1
kind: Secret
metadata: {name: bootstrap-token-$1, namespace: kube-system}
type: bootstrap.kubernetes.io/token
stringData:
  token-id: "$1"
  token-secret: "$2"
  expiration: "$(date -u -d '+10 minutes' +%Y-%m-%dT%H:%M:%SZ)"
  usage-bootstrap-authentication: "true"
  auth-extra-groups: system:bootstrappers:by-hand
YAML
}

# approve USER: the requests of this user, as soon as there is one.
approve() {
  until requests=$(kubectl get csr -o jsonpath="{.items[?(@.spec.username=='$1')].metadata.name}") &&
    [ -n "$requests" ]; do sleep 0.1; done
  # shellcheck disable=SC2086
  kubectl certificate approve $requests
}

# join NAME ADDRESS
join() {
  files=$(mktemp -d)
  trap 'rm -rf "$files"' EXIT
  id=$(random 3)
  secret=$(random 8)
  token "$id" "$secret"
  for template in templates/*; do
    sed -e "s/{{ node_name }}/$1/g; s/{{ node_address }}/$2/g; s/{{ token }}/$id.$secret/" \
      -e "s/{{ certificate }}/$certificate/; s/{{ key }}/$key/" \
      "$template" >"$files/${template##*/}"
  done
  cp programs "$files"
  tar -C "$files" -c . | ssh -F ssh_config "$2" "$remote"
  approve "system:bootstrap:$id"
  until kubectl wait --for=condition=Ready "node/$1" --timeout=60s 2>/dev/null; do sleep 0.1; done
  kubectl label node "$1" kube-nodes/pool=workers
  approve "system:node:$1"
  kubectl delete secret -n kube-system "bootstrap-token-$id"
  ssh -F ssh_config "$2" "until curl -fsS -m 2 -o /dev/null http://$service/ 2>/dev/null; do sleep 0.1; done"
}

kubectl apply -f manifests.yaml &
openssl req -new -newkey rsa:2048 -nodes -keyout kube-proxy.key -subj /CN=system:kube-proxy -out kube-proxy.csr 2>/dev/null
openssl x509 -req -in kube-proxy.csr -CA ca.crt -CAkey ca.key -set_serial "0x$(random 8)" \
  -days 365 -out kube-proxy.crt 2>/dev/null
certificate=$(base64 -w 0 kube-proxy.crt)
key=$(base64 -w 0 kube-proxy.key)
wait

running=''
while read -r name address; do
  (join "$name" "$address") </dev/null &
  running="$running $!"
done <hosts
failed=0
for pid in $running; do wait "$pid" || failed=1; done
exit "$failed"
