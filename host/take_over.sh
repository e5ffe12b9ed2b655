# shellcheck shell=sh disable=SC2015,SC2034,SC2154
# Only where `adopt` is declared: a kubelet that somebody else set up goes on under our units, with its
# certificate, its Node and its pods. Nothing of a life is ended. Until the new one answers all of it
# can be taken back; .kn-kept is the kubeconfig before, .kn-orig what the host had in our places.
theirs='' lent='' bare=''

# theirs: take the kubelet's identity. One that does not run gave it away in a run that was killed.
theirs() {
  k=$(systemctl show -p MainPID --value kubelet)
  # Ours, where a run was killed at its very end.
  ! has "$ours" "$(systemctl show -p FragmentPath --value kubelet)" || k=0
  n=$client.kn-new
  mkdir -p "${client%/*}" || die "cannot make ${client%/*}"
  if [ "${k:-0}" != 0 ]; then
    c=$(flag kubeconfig)
    credential "$c" >"$n" 2>/dev/null
    grep -q 'BEGIN CERTIFICATE' "$n" && grep -q 'PRIVATE KEY' "$n" || {
      rm -f "$n"
      die "${c:-the kubelet that runs here} has no client certificate with its key. Nothing was changed"
    }
    cmp -s "$n" "$client" && rm "$n" || { lent=1 open=1 && sync "$n" && mv -fT "$n" "$client"; } || full "$client"
  fi
  [ -e "$client" ] || die "no kubelet runs here that could be taken over; start it, or take adopt out of the node's" \
    "options. Nothing was changed"
  # What is taken over counts as of the epoch that is declared.
  [ -z "${epoch-}" ] || echo "$epoch" >"$state/certificates" || full "$state/certificates"
  theirs=1
}

# take: the kubelet writes its kubeconfig anew, of our server and CA, and keeps its certificate.
take() {
  [ -n "$theirs" ] || return 0
  open=1 need="$need kubelet"
  if exists "$conf"; then
    ln -f "$conf" "$conf.kn-kept" && rm "$conf" || die "cannot move $conf"
  else
    bare=1
  fi
  did="${did}adopted kubelet\n"
  # For one that answers others it asks when it starts, and membership waits for that.
  [ -e "$serving" ] || did="${did}renewed kubelet\n"
}

# untake: what they had elsewhere or not at all.
untake() {
  [ -z "$lent" ] || rm -f "$client"
  [ -z "$bare" ] || rm -f "$conf"
  [ -z "$theirs" ] || rm -f "$state/certificates"
}

# taken: from here on it is a life of ours.
taken() {
  [ -n "$theirs" ] || return 0
  rm -f "$conf.kn-kept"
  g=$state/generation
  echo "$cluster $generation" >"$g.new" && mv "$g.new" "$g" || full "$g"
}
