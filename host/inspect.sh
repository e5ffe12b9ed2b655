# shellcheck shell=sh disable=SC2015
# Looks at the host and changes nothing: facts, one a line, as KIND SUBJECT VALUE. The rendered text
# calls one function for each thing to look at. No line is a secret: of a kubeconfig only what is
# listed here leaves the host, of a file with a key only its certificates.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# say KIND SUBJECT LINES: stdin as facts, bounded.
say() { tr -cd '[:print:]\n' | cut -c 1-500 | head -n "$3" | sed "s|^|$1 $2 |"; }

# file PATH [sha256 | sha512 | target] [SUM]: what it is, mode, owner, size, digest; target: of what a
# link leads to; SUM: its text too, where it has another one.
file() {
  k='absent' d=- f=$1
  [ "$2" != target ] || f=$(readlink -f "$1")
  ! [ -e "$f" ] || k='other'
  ! [ -d "$f" ] || k='folder'
  ! [ -f "$f" ] || k='file'
  ! [ -L "$f" ] || k='link'
  case $k$2 in filesha*) d=$(timeout 60 "$2sum" <"$f" | cut -d ' ' -f 1) ;; esac
  echo "file $1 $k $(stat -c '0%a %u:%g %s' "$f" 2>/dev/null || echo - - -) ${d:-unread}"
  case $k:${3:-$d} in file:"$d") ;; file:*) content "$1" ;; esac
}

# content PATH: its text, bounded, unless it holds what looks like a credential: somebody has changed it.
content() {
  if head -c 32000 "$1" | grep -aqE 'PRIVATE KEY|^[ -]*"?(token|password|client-key-data)"?:|[0-9a-z]{6}\.[0-9a-z]{16}'; then
    echo "content $1 -"
  else
    echo "content $1 $(head -c 32000 "$1" | base64 | tr -d '\n')"
  fi
}

# written FILE: is what its sums are of, secret files, as it was written? Nothing else of them is told.
written() {
  [ -f "$1" ] || return 0
  grep -v '^#' "$1" | head -n 9 | while read -r d p; do
    case $(sha256sum <"$p" 2>/dev/null) in "$d "*) echo same ;; *) echo other ;; esac | say written "$p" 1
  done
}

# record FILE: what there is of what the host has on record as ours, itself among it.
record() {
  [ ! -f "$1" ] || { echo "$1" && grep -v '^?' "$1"; } | while read -r p; do
    ! [ -e "$p" ] || echo "$p"
  done | say record - 99
}

# sent FOLDER: which versions of what a stack sends are there and whole; each lies under its sum.
sent() {
  for f in "$1"/*/*; do
    [ -f "$f" ] && [ "$(timeout 10 sha256sum <"$f")" = "${f##*/}  -" ] && echo "${f##*/}"
  done | say sent - 20
}

# sysctl NAME: such as net/ipv4/ip_forward.
sysctl() { cat "/proc/sys/$1" 2>/dev/null | say sysctl "$1" 1; }

# kubeconfig PATH: whom it names, and the certificate in it.
kubeconfig() {
  [ -f "$1" ] || return 0
  head -c 100000 "$1" |
    sed -nE 's/^[ -]*(server|certificate-authority|client-certificate|user): *"?([^] "{}@[]+)"? *$/\1 \2/p' | say kubeconfig "$1" 9
  head -c 100000 "$1" | sed -nE 's/^ *client-certificate-data: *"?([A-Za-z0-9+/=]+)"? *$/\1/p' |
    base64 -d 2>/dev/null | certificates | say certificate "$1" 99
}

# pem PATH: the certificates in a file.
pem() { [ ! -f "$1" ] || head -c 100000 "$1" | certificates | say certificate "$1" 99; }

# certificates: of stdin, what stands between BEGIN and END CERTIFICATE; any other BEGIN ends it.
certificates() {
  go=''
  while IFS= read -r l || [ -n "$l" ]; do
    case $l in
    '-----BEGIN CERTIFICATE-----') go=1 ;;
    *-----BEGIN*) go='' ;;
    esac
    [ -z "$go" ] || echo "$l"
    case $l in *-----END*) go='' ;; esac
  done
}

# unit NAME: what systemd says of it, and which program runs.
unit() {
  s=$(systemctl show -p LoadState -p ActiveState -p SubState -p Result -p NRestarts -p UnitFileState -p FragmentPath \
    -p DropInPaths -p NeedDaemonReload -p ActiveEnterTimestampMonotonic -p MainPID -p InvocationID "$1")
  pid=$(echo "$s" | sed -n 's/^MainPID=//p')
  run=$(echo "$s" | sed -n 's/^InvocationID=//p')
  # A folder of drop-ins that is new is unknown to systemd until it is told to look again.
  d=$(find /etc/systemd /run/systemd /usr/lib/systemd /usr/local/lib/systemd -path "*/$1.service.d/*.conf" 2>/dev/null)
  { echo "$s" && echo "Program=$(readlink "/proc/${pid:-0}/exe")" && echo "DropInFiles=$d" | tr '\n' ' '; } | say unit "$1" 20
}

# log ARGUMENTS: the journal of the unit's present run; unit comes before.
log() { [ -z "$run" ] || timeout 20 journalctl -q --no-pager "$@" "_SYSTEMD_INVOCATION_ID=$run" 2>/dev/null; }

# journal NAME REGEXP: its known messages, of the start and of late, and the last error.
journal() {
  { log -o short-monotonic | head -n 5000 | grep -E -m 20 -e "$2"; log -o short-monotonic -n 5000 | grep -E -e "$2" | tail -n 20; } |
    say journal "$1" 40
  log -o cat -n 500 | grep -E '^[EF][0-9]{4} |^panic|^Error' | tail -n 1 | say error "$1" 1
}

# version PATH: what a program says of itself.
version() { [ ! -x "$1" ] || timeout 10 "$1" --version 2>&1 | say version "$1" 1; }

# http NAME URL [CURL ARGUMENTS]: the status, 000 without an answer, and curl's own words.
http() {
  n=$1 u=$2
  shift 2
  e=$(curl -q -sS --noproxy '*' --connect-timeout 2 -m 5 --retry 1 -o /dev/null -w ' %{http_code}' "$@" "$u" 2>&1 | tr '\n' ' ')
  m=${e% *}
  echo "${e##* } ${m##*curl: }" | say http "$n" 1
}

# mode URL: the mode that kube-proxy is in.
mode() { curl -q -s --noproxy '*' -m 5 "$1" 2>/dev/null | head -c 40 | say mode - 1; }

# dns ADDRESS QUERY: the answer to a question, both as on the wire; bash alone opens a UDP socket.
dns() {
  command -v bash >/dev/null || { echo "dns $1 no-bash"; return; }
  # shellcheck disable=SC2016
  for s in 1 2 2; do
    a=$(bash -c 'exec 3<>"/dev/udp/$0/53" && env printf "$1" >&3 && timeout "$2" dd bs=1500 count=1 <&3' "$1" "$2" "$s" 2>/dev/null |
      od -An -v -tx1 | tr -d ' \n')
    [ -z "$a" ] || break
  done
  echo "dns $1 ${a:-silent}" | cut -c 1-1000
}

# text NAME PATH: the first line of a file.
text() { head -n 1 "$2" 2>/dev/null | say text "$1" 1; }
