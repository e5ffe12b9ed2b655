"""A kubelet and a kube-proxy that somebody else set up: stand-ins that start at once."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.host_script.script_host import PORTS, ScriptHost

# The shell stays the unit's process, with its arguments, as the kubelet does.
_PROGRAM = """\
#!/bin/sh
[ "$1" != --cleanup ] || exit 0
mkdir -p /run/fake-theirs-{name}
echo ok >/run/fake-theirs-{name}/healthz
busybox httpd -f -p 127.0.0.1:{port} -h /run/fake-theirs-{name} &
wait
"""
_UNIT = """\
[Unit]
Description={name} of somebody else

[Service]
ExecStart=/usr/bin/{name} {arguments}

[Install]
WantedBy=multi-user.target
"""
_KUBECONFIG = """\
clusters: [{{name: c, cluster: {{server: "https://192.0.2.9:6443"}}}}]
users:
- name: u
  user:
    client-certificate{certificate}
    client-key{key}
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIItheirs\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIalsotheirs\n-----END PRIVATE KEY-----\n"
PEM = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBEADM = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
FOLDERS = (
    "/etc/systemd/system /usr/lib/systemd/system/kube* /etc/kubernetes /var/lib/kubelet"
    " /var/lib/kube-proxy /usr/local/bin /usr/bin/kubelet"
)


@dataclass(frozen=True)
class Theirs:
    """A set-up that runs on a host."""

    host: ScriptHost
    kubeconfig: str

    def digest(self) -> str:
        """Tell every file of theirs, and whatever else is in those folders."""
        listed = f"find {FOLDERS} -xdev -type f,l -printf '%p %m %u:%g %l\\n' 2>/dev/null | sort"
        sums = f"find {FOLDERS} -xdev -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum"
        return self.host.sh(f"{listed}; {sums}")

    def runs(self) -> bool:
        """Say whether their kubelet is what runs, and would after a boot."""
        path = "$(systemctl show -p FragmentPath --value kubelet)"
        show = f'readlink -f "{path}"; systemctl is-enabled kubelet'
        answer = self.host.sh(f"{_await(PORTS['kubelet'])}; {show}")
        return answer == "ok\n/usr/lib/systemd/system/kubelet.service\nenabled\n"

    def end(self) -> None:
        """Take it off the host."""
        self.host.sh(
            "systemctl disable --now kubelet kube-proxy; rm -rf /usr/bin/kubelet"
            " /usr/bin/kube-proxy /usr/lib/systemd/system/kube* /etc/kubernetes /var/lib/kubelet"
            " /run/fake-theirs-* /etc/systemd/system/kube*; systemctl daemon-reload;"
            " systemctl reset-failed"
        )


def by_hand(host: ScriptHost, certificate: str = CERTIFICATE, key: str = KEY) -> Theirs:
    """Set it up by the manual's names: another kubeconfig, certificate and key in files."""
    path = "/etc/kubernetes/kubeconfig/kubelet.kubeconfig"
    pki = "/etc/kubernetes/pki"
    _write(host, f"{pki}/kubelet-client.crt", certificate)
    _write(host, f"{pki}/kubelet-client.key", key)
    files = {"certificate": ": ../pki/kubelet-client.crt", "key": f": {pki}/kubelet-client.key"}
    _write(host, path, _KUBECONFIG.format(**files))
    _unit(host, "kubelet", f"--kubeconfig={path} --cert_dir {pki}")
    _unit(host, "kube-proxy", "--proxy-mode=iptables")
    return Theirs(host, path)


def by_kubeadm(host: ScriptHost) -> Theirs:
    """Set it up as kubeadm's packages and `kubeadm join` do."""
    path = "/etc/kubernetes/kubelet.conf"
    _write(host, f"{PEM.replace('current', '2031')}", CERTIFICATE + KEY)
    host.sh(f"cd {PEM.rpartition('/')[0]}; ln -s kubelet-client-2031.pem {PEM}")
    _write(host, path, _KUBECONFIG.format(certificate=f": {PEM}", key=f": {PEM}"))
    host.sh(f"chmod 600 {path} {PEM}")
    _write(host, "/var/lib/kubelet/config.yaml", "maxPods: 99\n")
    arguments = f"--kubeconfig={path} --config=/var/lib/kubelet/config.yaml"
    _write(host, KUBEADM, f"[Service]\nExecStart=\nExecStart=/usr/bin/kubelet {arguments}\n")
    _unit(host, "kubelet", "")
    return Theirs(host, path)


def _unit(host: ScriptHost, name: str, arguments: str) -> None:
    _write(host, f"/usr/bin/{name}", _PROGRAM.format(name=name, port=PORTS[name]))
    unit = f"/usr/lib/systemd/system/{name}.service"
    _write(host, unit, _UNIT.format(name=name, arguments=arguments))
    host.sh(f"chmod 755 /usr/bin/{name}; systemctl daemon-reload; systemctl -q enable --now {name}")
    host.sh(_await(PORTS[name]))


def _await(port: int) -> str:
    url = f"http://127.0.0.1:{port}/healthz"
    return f"timeout 10 sh -c 'until curl -sf {url}; do sleep 0.1; done'"


def _write(host: ScriptHost, path: str, text: str) -> None:
    host.sh(f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'TEXT'\n{text}TEXT\n")
