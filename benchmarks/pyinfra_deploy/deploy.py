"""The measured work, as one deploy: `pyinfra INVENTORY deploy.py --data templates=FOLDER`."""

from pathlib import Path
from typing import Any

from pyinfra import host
from pyinfra.operations import files, server, systemd
from pyinfra.operations.util import any_changed

TEMPLATES = Path(host.data.templates)
DIRECTORIES = {
    "/etc/kubernetes": "755",
    "/etc/kubernetes/pki": "755",
    "/etc/kubernetes/manifests": "700",
    "/var/lib/kube-proxy": "700",
    "/var/lib/kubelet": "700",
}
BINARIES = ("/usr/local/bin/kubelet", "/usr/local/bin/kube-proxy")
UNITS = ("kubelet.service", "kube-proxy.service")


def template(path: str) -> Any:
    """Put a file there that has the host's name and address in it."""
    return files.template(
        name=path,
        src=str(TEMPLATES / Path(path).name),
        dest=path,
        user="root",
        group="root",
        mode="600",
        node_name=host.name,
        node_address=host.data.ssh_hostname,
    )


def plain(path: str, mode: str) -> Any:
    """Put a file there that is the same on every host."""
    return files.put(
        name=path,
        src=str(TEMPLATES / Path(path).name),
        dest=path,
        user="root",
        group="root",
        mode=mode,
    )


server.shell(
    name="The programs are there",
    commands=[f'test "$({path} --version)" = "Kubernetes v1.37.2"' for path in BINARIES],
)
for directory, mode in DIRECTORIES.items():
    files.directory(name=directory, path=directory, user="root", group="root", mode=mode)
authority = plain("/etc/kubernetes/pki/ca.crt", "644")
kubelet_unit = template("/etc/systemd/system/kubelet.service")
kubelet_file = template("/var/lib/kubelet/config.yaml")
proxy_unit = template("/etc/systemd/system/kube-proxy.service")
proxy_file = template("/var/lib/kube-proxy/config.conf")
plain("/etc/kubernetes/bootstrap-kubelet.conf", "600")
proxy_credentials = plain("/etc/kubernetes/proxy.conf", "600")

systemd.daemon_reload(name="systemd reads the units", _if=any_changed(kubelet_unit, proxy_unit))
changed = (
    any_changed(authority, kubelet_unit, kubelet_file),
    any_changed(authority, proxy_unit, proxy_file, proxy_credentials),
)
for unit, has_changed in zip(UNITS, changed, strict=True):
    systemd.service(name=f"restart {unit}", service=unit, restarted=True, _if=has_changed)
for unit in UNITS:
    systemd.service(name=f"{unit} is on", service=unit, running=True, enabled=True)
server.shell(
    name="Both are up",
    commands=[f"systemctl is-active --quiet {unit}" for unit in UNITS],
)
