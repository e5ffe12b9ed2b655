node=n1
server=https://192.0.2.10:6443
socket=/var/run/docker.sock
fail_swap_on=no
units='kubelet kube-proxy'
tools='cmp curl find flock grep journalctl sha256sum systemctl timeout umount xargs'
# … host/preflight.sh …
main <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
# end
