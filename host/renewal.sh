# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# Only where an epoch is above the first. Another $epoch: the kubelet gets new certificates with the one
# it has; its Node and pods stay. One that finds a certificate in its kubeconfig itself, and no other,
# takes that, and has it renewed at once: by the cluster's signer, whose CA may be another one by now.
# Source: NewKubeletClientCertificateManager in pkg/kubelet/certificate/kubelet.go of kubernetes/kubernetes.
# .kn-kept is what was there before, and comes back if none comes, or by the next run (`kept`).
record=$state/certificates
before=''

# own FILE KIND: of certificate and key in one file the CERTIFICATE or the KEY, as a kubeconfig has it.
own() { sed -n "/-BEGIN.*$2-/,/-END.*$2-/p" "$1" | base64 | tr -d '\n'; }

# renew: certificates of an earlier epoch are taken from the kubelet, before it is restarted. Where it has
# none, those that come are of this one; a host that has no record is of the first.
renew() {
  has "$(echo "$units" | tr '=' ' ')" kubelet || return 0
  [ -e "$client" ] || echo "$epoch" >"$record"
  [ "$(cat "$record" 2>/dev/null || echo 1)" != "$epoch" ] || return 0
  before=$(own "$client" CERTIFICATE)
  # Not as arguments, which every process list shows.
  for p in "certificate:$before" "key:$(own "$client" KEY)"; do
    printf '%s\n' "s|^( *)client-${p%%:*}: *\"?$client\"?\$|\1client-${p%%:*}-data: ${p#*:}|"
  done | sed -E -f /dev/stdin "$conf" >"$conf.kn-new"
  grep -q 'client-certificate-data: .' "$conf.kn-new" && grep -q 'client-key-data: .' "$conf.kn-new" ||
    {
      rm -f "$conf.kn-new"
      die "$conf does not name $client; remove it, and run again with another reapply"
    }
  open=1
  ln "$conf" "$conf.kn-kept" && mv -fT "$conf.kn-new" "$conf" || die "cannot replace $conf"
  for p in "$client" "$serving"; do ! exists "$p" || mv -fT "$p" "$p.kn-kept" || die "cannot move $p"; done
  need="$need kubelet"
}

# renewed: the client certificate is another one. That for others needs approval: membership sees to it.
renewed() {
  [ -n "$before" ] || return 0
  while [ ! -e "$client" ] || [ "$(own "$client" CERTIFICATE)" = "$before" ]; do
    [ $(($(date +%s) - ${since%.*})) -lt "$wait" ] ||
      die "no new certificate came within $wait s: see \`journalctl -u kubelet\`, and whether the cluster approves a" \
        "node's own renewal (a binding to selfnodeclient); those of before are back"
    sleep 0.1
  done
  rm -f "$serving.kn-kept"
  kept
  echo "$epoch" >"$record" || die "cannot write $record"
  did="${did}renewed kubelet\n"
}
