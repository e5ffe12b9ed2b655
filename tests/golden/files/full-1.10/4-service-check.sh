node=n1
run=6f1c7b0e
url=https://10.96.0.1/readyz
accept='200 401 403'
wait=60
# … host/service_check.sh …
ask <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
# end
