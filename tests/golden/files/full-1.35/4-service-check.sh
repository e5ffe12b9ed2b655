node=n1
run=cab89d618ed999425e52471b2b424f527b79b026dce259fe2bca8ac9ab2cf8be
url=https://10.96.0.1/readyz
accept='200 401 403'
wait=60
use service_check
ask <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
# end
