# shellcheck shell=sh disable=SC2015,SC2034,SC2046,SC2154
# The container runtime, and what pods get from it.

# value KEY: the first that is not empty in containerd's configuration.
value() { echo "$conf" | sed -n "s/^ *$1 = //p" | tr -d "[]\"'" | cut -d, -f1 | grep -m 1 .; }

runtime() {
  # A runtime that has stopped may leave its socket; the kernel lists those that are held.
  s=$(readlink -f "$socket") && grep -q "$s\$" /proc/net/unix ||
    found "$socket" "nothing listens" "the kubelet needs a running container runtime" "install and start it, or correct its endpoint"
  case $socket in
  *docker*)
    driver "$(docker info -f '{{.CgroupDriver}}')" Docker
    root=/var/lib/docker
    ;;
  *containerd*) ! command -v containerd >/dev/null || containerd_rules ;;
  esac
  cni
  grep -qE '^([^ ]+ ){4}/ [^-]*shared:' /proc/self/mountinfo || note / "not a shared mount" "mountPropagation of pods needs it" "mount --make-rshared /"
}

# driver FOUND RUNTIME
driver() {
  [ "${1:-$driver}" = "$driver" ] ||
    found "cgroup driver" "$1 in $2" "the kubelet's is $driver, and both must be one" "change $2's configuration and restart it, or set cgroupDriver"
}

containerd_rules() {
  v=$(containerd --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
  set -- $(echo "$v" | tr . ' ')
  n=$((${1:-9} * 100 + ${2:-0}))
  [ "$n" -ge "$containerd_least" ] || found containerd "$v" "this kubelet needs CRI v1, which containerd has from 1.6 on" "upgrade it"
  [ "$n" -ge "${containerd_file:-0}" ] || found containerd "$v" "only containerd 2 reads version 3 of its file" "upgrade it, or set containerd.configVersion to 2"
  [ "$n" -ge "$containerd_good" ] || note containerd "$v" "Kubernetes supports only containerd 2 from 1.36 on" "plan its upgrade"
  [ -n "$containerd_file" ] || cri
  conf=$(containerd config dump)
  root=$(value root)
  s=$(value default_runtime_name)
  # Where we write the file, both drivers are one option.
  case $containerd_file$(echo "$conf" | sed -n "/runtimes\.${s:-runc}\.options\]/,/^ *\[/s/^ *SystemdCgroup = //p") in
  true) driver systemd containerd ;;
  false) driver cgroupfs containerd ;;
  esac
  [ "$(value snapshotter)" != overlayfs ] || grep -qw overlay /proc/filesystems || modprobe -nq overlay ||
    found overlay "not in this kernel" "containerd's snapshotter needs it" "install the kernel's modules, or choose another snapshotter"
}

# cri: a vendor's package may switch it off, and containerd goes on without it where it cannot start.
cri() {
  s=$(timeout 10 ctr plugins ls) || return
  s=$(echo "$s" | grep -E '\.(grpc|cri)\.v1 +(cri|runtime) ' | tr -s ' ')
  case $s in
  *' error'* | *' skip'* | '')
    found "containerd's CRI plugin" "${s:-switched off}" "the kubelet speaks to it" "take cri out of disabled_plugins in containerd's file, and see journalctl -u containerd after a restart"
    ;;
  esac
}

# cni: what is missing may be on its way with the cluster's add-on, so it is no error.
cni() {
  b=${cni_bin:-$(value 'bin_dirs*')} c=${cni_conf:-$(value conf_dir)}
  b=${b:-/opt/cni/bin} c=${c:-/etc/cni/net.d}
  [ -n "$(ls -A "$b")" ] || note "$b" "no CNI plugins" "the runtime takes them from here" "install them, unless an add-on brings them"
  [ -n "$(value conf_template)$(find "$c/" -name '*.conf*' -o -name '*.json')" ] ||
    note "$c" "no CNI configuration" "a node is Ready only with one" "install the cluster's network add-on, unless it is on its way"
  ! grep -qE '"type": *"(bridge|flannel)"' "$c"/* || grep -qx 1 /proc/sys/net/bridge/bridge-nf-call-iptables ||
    note net/bridge/bridge-nf-call-iptables "not 1" "kube-proxy must see what pods on a bridge send" "modprobe br_netfilter, sysctl -w net/bridge/bridge-nf-call-iptables=1"
}
