"""A real host to run host scripts on, and stand-ins for kubelet and kube-proxy that start at once.

What is tested is the script, on a real systemd: the stand-in programs answer on the real health
ports, keep the configuration that they were started with, and refuse one that holds `broken`.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass, field

from kube_nodes.model.cluster import Cluster
from kube_nodes.render import paths
from kube_nodes.render.host_script import (
    KUBE_PROXY,
    KUBELET,
    Binary,
    Directory,
    ManagedFile,
    ServiceUnit,
    render_credentials_script,
    render_units_script,
)
from kube_nodes.render.kubeconfig import (
    render_bootstrap_kubeconfig,
    render_kube_proxy_kubeconfig,
)
from kube_nodes.render.shell import host_scripts, render_call, sent_path
from lab import ssh
from lab.spec import Host, LabSpec
from tests.lab.host_script.artifacts import Artifacts

KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
KUBE_PROXY_CONFIG = "/var/lib/kube-proxy/config.conf"
PORTS = {"kubelet": 10248, "kube-proxy": 10256}
CONFIGS = {"kubelet": KUBELET_CONFIG, "kube-proxy": KUBE_PROXY_CONFIG}
VERSION = "v1.37.2"
API = "https://192.0.2.1:6443"
KUBELET_UNIT = "/etc/systemd/system/kubelet.service"
_OWNER = "kube-nodes.test"
EXTRA = ManagedFile(path="/etc/kubernetes/extra.conf", content="extra\n", restarts=("kubelet",))

PROGRAM = """\
#!/bin/sh
# build {build}
[ "$1" != --version ] || {{ echo 'Kubernetes {version}'; exit 0; }}
[ "$1" != --cleanup ] || {{ echo cleaned >/run/fake-cleanup; exit 0; }}
if grep -q broken {config}; then
  echo 'E1124 00:00:00.000000 1 run.go:72] "command failed" err="{name}: broken is unknown"' >&2
  exit 1
fi
mkdir -p /run/fake-{name}
cp {config} /run/fake-{name}/config
echo ok >/run/fake-{name}/healthz
exec busybox httpd -f -p 127.0.0.1:{port} -h /run/fake-{name}
"""
UNIT = """\
[Unit]
Description={name} ({note})
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/{name}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


def program(name: str, build: int = 1, version: str = VERSION) -> bytes:
    """Return the stand-in for kubelet or kube-proxy."""
    text = PROGRAM.format(
        name=name, build=build, version=version, config=CONFIGS[name], port=PORTS[name]
    )
    return text.encode()


@dataclass(frozen=True)
class Run:
    """What a script did."""

    status: int
    out: str
    err: str

    @property
    def changed(self) -> list[str]:
        """Paths that it changed."""
        return re.findall(r"^changed (\S+)$", self.out, re.MULTILINE)

    @property
    def restarted(self) -> list[str]:
        """Units that it restarted."""
        return re.findall(r"^restarted (\S+) [0-9.]+$", self.out, re.MULTILINE)


@dataclass(frozen=True)
class ScriptHost:
    """One host of the lab, over SSH."""

    spec: LabSpec
    host: Host
    _sent: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def argv(self, command: str, user: str = "root") -> list[str]:
        """Return the ssh command that runs a command line there."""
        return [*ssh.command(self.spec, self.host, user), command]

    def run(
        self, script: str, action: str = "apply", *, user: str = "root", timeout_seconds: int = 120
    ) -> Run:
        """Run a rendered script as a remote command does."""
        command = self.call(action, user=user, timeout_seconds=timeout_seconds)
        done = subprocess.run(
            self.argv(command, user), input=script, capture_output=True, text=True, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def call(self, action: str = "apply", *, user: str = "root", timeout_seconds: int = 600) -> str:
        """Return the command string of a remote command, with what it calls on the host."""
        if user not in self._sent:
            path = sent_path(_OWNER)
            save = f"mkdir -p {path.rpartition('/')[0]}; cat >{path}"
            subprocess.run(self.argv(save, user), input=host_scripts(), text=True, check=True)
            self._sent.add(user)
        return render_call(owner=_OWNER, action=action, timeout_seconds=timeout_seconds)

    def sh(self, command: str) -> str:
        """Run a command line on the host and return what it prints; it may fail."""
        done = subprocess.run(self.argv(command), capture_output=True, text=True, check=False)
        return done.stdout

    def read(self, path: str) -> str:
        """Return the content of a file."""
        return self.sh(f"cat {path}")

    def exists(self, path: str) -> bool:
        """Say whether the path is there."""
        return self.sh(f"test -e {path} && echo yes") == "yes\n"

    def started(self, unit: str) -> str:
        """Return what changes with each start of the unit."""
        return self.sh(f"systemctl show -p InvocationID --value {unit}").strip()

    def active(self, unit: str) -> bool:
        """Say whether the unit runs."""
        return self.sh(f"systemctl is-active {unit}").strip() == "active"

    def running_with(self, unit: str) -> str:
        """Return the configuration that the stand-in was started with."""
        return self.read(f"/run/fake-{unit}/config") if self.active(unit) else ""

    def litter(self) -> str:
        """Return every temporary file of a script."""
        places = "/etc /usr/local /var/lib/kubelet /var/lib/kube-proxy /var/lib/kube-nodes /run"
        names = ("*.kn-*", "kube-nodes.??????", "units.journal*", "*.list.new")
        either = " -o ".join(f"-name '{name}'" for name in names)
        return self.sh(rf"find {places} -xdev \( {either} \)")


@dataclass
class Node:
    """What is declared for the host; tests change a field and render again."""

    artifacts: Artifacts
    kubelet_config: str = "maxPods: 110\n"
    kube_proxy_config: str = "mode: nftables\n"
    note: str = "first"
    build: int = 1
    generation: int = 1
    reapply: int = 0
    certificate_epoch: int = 1
    adopt: bool = False
    cluster_uid: str = "uid-1"
    extra: tuple[ManagedFile, ...] = ()
    wait_seconds: int = 10
    node_id: str = "node-1"
    programs: tuple[ServiceUnit, ...] = (KUBELET, KUBE_PROXY)
    mirrors: tuple[str, ...] = ()
    origin: str = ""
    """Server of the binaries' own URLs, where it is not that of the artifacts."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """What a program is, where it is not the stand-in."""
    sha512: bool = False
    delivered: bool = False
    """The programs come from the operator's machine."""
    installed: bool = False
    """The programs are the host's own."""

    def units(self) -> str:
        """Render the units script."""
        names = [unit.name for unit in self.programs]
        configs = {"kubelet": self.kubelet_config, "kube-proxy": self.kube_proxy_config}
        files = [
            ManagedFile(path=CONFIGS[name], content=configs[name], restarts=(name,))
            for name in names
        ]
        unit_files = [
            ManagedFile(
                path=f"/etc/systemd/system/{name}.service",
                content=UNIT.format(name=name, note=self.note),
                restarts=(name,),
            )
            for name in names
        ]
        return render_units_script(
            node_id=self.node_id,
            generation=self.generation,
            reapply=self.reapply,
            certificate_epoch=self.certificate_epoch,
            adopt=self.adopt,
            cluster_uid=self.cluster_uid,
            api_server=API,
            wait_seconds=self.wait_seconds,
            files=[*files, *unit_files, *self.extra],
            binaries=[self._binary(name) for name in names],
            directories=[
                Directory(path="/var/lib/kubelet", mode="0700"),
                Directory(path="/var/lib/kube-proxy", mode="0700"),
            ],
            units=self.programs,
        )

    def _binary(self, name: str) -> Binary:
        if self.installed:
            return Binary(path=f"/usr/local/bin/{name}", version=VERSION, restarts=(name,))
        content = self.contents.get(name) or program(name, self.build if name == "kubelet" else 1)
        url, sha256 = self.artifacts.put(f"{self.build}/{name}", content)
        url = url.replace(self.artifacts.url, self.origin or self.artifacts.url)
        digest = hashlib.sha512(content).hexdigest() if self.sha512 else sha256
        urls = (*(f"{mirror}/{self.build}/{name}" for mirror in self.mirrors), url)
        return Binary(
            path=f"/usr/local/bin/{name}",
            version=VERSION,
            sources=(paths.sent_file(digest),) if self.delivered else urls,
            digest=digest,
            restarts=(name,),
        )

    def vouched_credentials(
        self,
        cluster: Cluster,
        certificate: str,
        key: str,
        *,
        token: str = "",
        token_end: int | None = None,
    ) -> str:
        """Render the credentials script with real kubeconfigs; of the kubelet if it has a token."""
        path = "/etc/kubernetes/proxy.conf"
        text = render_kube_proxy_kubeconfig(cluster, "/etc/ca.crt", certificate, key)
        files = [ManagedFile(path=path, content=text, restarts=("kube-proxy",))]
        if token:
            text = render_bootstrap_kubeconfig(cluster, "/etc/ca.crt", token)
            files.append(ManagedFile(path="/etc/kubernetes/bootstrap-kubelet.conf", content=text))
        return render_credentials_script(
            node_id=self.node_id,
            generation=self.generation,
            files=files,
            kube_proxy_kubeconfig=path,
            token_end=token_end,
            ca_pem=cluster.ca_certificate,
        )

    def credentials(self, token: str = "a-secret", server: str = API) -> str:  # noqa: S107
        """Render the credentials script."""
        return render_credentials_script(
            node_id=self.node_id,
            generation=self.generation,
            reapply=self.reapply,
            wait_seconds=self.wait_seconds,
            files=[
                ManagedFile(
                    path="/etc/kubernetes/bootstrap-kubelet.conf",
                    content=f"server: {server}\ntoken: {token}\n",
                ),
                ManagedFile(
                    path="/etc/kubernetes/proxy.conf",
                    content=f"server: {server}\nkey: {token}\n",
                    restarts=("kube-proxy",),
                ),
            ],
        )


def killed_at(script: str, step: int) -> str:
    """Return the script so changed that it is killed, as by kill -9, before its step-th command."""
    return stopped_at(script, step, "kill -9 $$")


def stopped_at(script: str, step: int, command: str) -> str:
    """Return the script so changed that it runs a command of the test before its own step-th one.

    Where it comes to its end it prints how many steps it has.
    """
    watched = "mv ln rm rmdir sync systemctl chmod chown mkdir cat flock curl umount"
    traps = "".join(f'{name}() {{ step; command {name} "$@"; }}\n' for name in watched.split())
    stop = f'[ "$steps" -ne {step} ] || {{ {command}; }}'
    count = f"steps=0\nstep() {{ steps=$((steps + 1)); {stop}; }}\n"
    return count + traps + script.replace("\n# end\n", '\necho "steps $steps"\n# end\n')


def assert_installed(host: ScriptHost, node: Node) -> None:
    """The host is what the node declares, and runs it."""
    assert host.read(KUBELET_CONFIG) == node.kubelet_config
    assert host.read(KUBE_PROXY_CONFIG) == node.kube_proxy_config
    assert f"({node.note})" in host.read(KUBELET_UNIT)
    assert host.read("/usr/local/bin/kubelet") == program("kubelet", node.build).decode()
    assert host.running_with("kubelet") == node.kubelet_config
    assert host.running_with("kube-proxy") == node.kube_proxy_config
    assert host.litter() == ""
