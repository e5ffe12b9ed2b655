"""Render the scripts that run on a node.

A script is one line of data a setting, file or binary, and the name of what is called in host/
(shell.py brings it to the host); file contents stand in quoted here-documents, so that a preview
shows their changed lines. The text is deterministic: it is stored in the state, twice, and compared
on each run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kube_nodes.render.quoting import shell_word
from kube_nodes.render.script_text import (
    MODE,
    NODE_ID,
    PATH,
    SOURCE,
    SUM,
    UNIT,
    URL,
    VERSION,
    assign,
    checked,
    checked_path,
    closed,
    heredoc,
)
from kube_nodes.render.shell import constant_shell, use

UNITS_SHELL = (
    "base", "record", "version", "programs", "units", "proxy_cleanup", "pods", "life",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ServiceUnit:
    """A unit that a script restarts, and how to know that it came up."""

    name: str
    health_url: str = ""
    """URL on the node that answers 200 once it works; empty: there is none."""
    settle_seconds: int = 0
    """How long it has to live to count as up where it cannot answer: without a URL, and before the
    host has its identity in the cluster. kube-proxy answers only when its Node exists, and counts
    as up sooner where it says that it waits for it (host/base.sh); a kubelet without
    rotateCertificates answers only when it has its certificate."""


KUBELET = ServiceUnit(
    name="kubelet", health_url="http://127.0.0.1:10248/healthz", settle_seconds=10
)
KUBE_PROXY = ServiceUnit(
    name="kube-proxy", health_url="http://127.0.0.1:10256/healthz", settle_seconds=2
)
CONTAINERD = ServiceUnit(name="containerd")


@dataclass(frozen=True, kw_only=True)
class ManagedFile:
    """A text file that the node holds exactly so."""

    path: str
    content: str = field(repr=False)
    """Empty, or text that ends with a line break; it may be secret in the credentials script."""
    mode: str = "0600"
    restarts: tuple[str, ...] = ()
    """Names of units that are restarted when it changes."""


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A program of Kubernetes; one that the script puts there has the mode 0755."""

    path: str
    version: str
    """What `--version` must say, such as v1.37.2."""
    sources: tuple[str, ...] = ()
    """URLs, or paths on the host, tried in this order; none: it is there already."""
    digest: str = ""
    """SHA-256 or SHA-512, which the length tells; given with sources."""
    restarts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A folder with its mode."""

    path: str
    mode: str = "0755"


def render_units_script(
    *,
    node_id: str,
    generation: int,
    cluster_uid: str,
    api_server: str,
    files: Iterable[ManagedFile],
    binaries: Iterable[Binary] = (),
    directories: Iterable[Directory] = (),
    units: Iterable[ServiceUnit] = (KUBELET, KUBE_PROXY),
    reapply: int = 0,
    certificate_epoch: int = 1,
    adopt: bool = False,
    wait_seconds: int = 60,
    kubelet_root: str = "/var/lib/kubelet",
) -> str:
    """Return the script that installs binaries, configuration and units (nothing secret).

    Where a kubelet is among the units, it first clears the host of an earlier generation (pods,
    identity, mounts); its remove action does the same at the end. With another certificate_epoch
    the kubelet gets new certificates, and keeps all else. `api_server` is the URL that
    the kubeconfig files name: the kubelet of another one is never removed. With `adopt` a kubelet
    that was not set up here goes on under our units; else it is refused.
    """
    units = tuple(units)
    life = {
        "cluster": cluster_uid,
        "generation": str(int(generation)),
        "server": checked(URL, api_server, "api_server"),
    }
    # An epoch above the first is compared with the host's; the first is no renewal.
    renewal = certificate_epoch > 1
    parts = [
        _header("units", node_id, reapply, units, wait_seconds=wait_seconds, root=kubelet_root),
        *assign(life),
        *assign({"epoch": str(int(certificate_epoch))} if renewal else {}),
        use(
            *UNITS_SHELL,
            *(("renewal",) if renewal else ()),
            *(("foreign", "take_over") if adopt else ()),
        ),
        # What can fail for reasons of others, downloads, comes before an earlier life is ended.
        "begin\n",
        *(_binary(binary, units) for binary in sorted(binaries, key=lambda each: each.path)),
        "life\n",
        *_directories(directories),
        *_files(files, units),
    ]
    return closed(parts, "finish\n")


def render_credentials_script(
    *,
    node_id: str,
    generation: int,
    files: Iterable[ManagedFile],
    units: Iterable[ServiceUnit] = (KUBELET, KUBE_PROXY),
    reapply: int = 0,
    wait_seconds: int = 60,
    kubelet_root: str = "/var/lib/kubelet",
    kube_proxy_kubeconfig: str = "",
    token_end: int | None = None,
    ca_pem: str = "",
) -> str:
    """Return the script that puts the secret files there, and restarts what runs with them.

    Before anything changes, the API server must know kube-proxy by the certificate that is in
    `kube_proxy_kubeconfig`, one of the files; without that path nobody is asked.

    With `token_end` (seconds since 1970) it must also let the host's bootstrap token in until then,
    as far as the host has no identity of this generation yet.
    """
    units = tuple(units)
    files = tuple(files)
    vouched = kube_proxy_kubeconfig
    if vouched and vouched not in {each.path for each in files}:
        raise ValueError(f"kube_proxy_kubeconfig: {vouched} is not among the files")
    parts = [
        _header(
            "credentials", node_id, reapply, units, wait_seconds=wait_seconds, root=kubelet_root
        ),
        *assign({"generation": str(int(generation))}),
        use("base", "credentials", *(("token",) if token_end is not None else ())),
        "begin\n",
        *_files(files, units),
        *([heredoc(f"vouch {checked_path(vouched)}", ca_pem, "ca_pem")] if vouched else []),
    ]
    if token_end is not None:
        parts.append(f"admitted {int(token_end)}\n")
    return closed(parts, "finish\n")


def render_token_file_script(*, host_id: str, owner: str, file: str, user: str, line: str) -> str:
    """Return the script that puts a line, secret, into the API server's file of static tokens.

    `owner` names whose line it is: on a host each owner has one. `user` is the line's, of whom no
    other line may be there.
    """
    settings = {
        "node": checked(NODE_ID, host_id, "host_id"),
        "owner": owner,
        "file": checked_path(file),
        "user": user,
    }
    parts = [
        "action=$1\n",
        *assign(settings),
        # A host of the control plane gets no scripts to keep.
        constant_shell("base"),
        constant_shell("token_file"),
        "begin\n",
        heredoc("own", line, "line"),
    ]
    return closed(parts, "finish\n")


def _header(
    part: str,
    node_id: str,
    reapply: int,
    units: tuple[ServiceUnit, ...],
    *,
    wait_seconds: int,
    root: str,
) -> str:
    words = []
    for unit in units:
        if unit.health_url:
            checked(URL, unit.health_url, f"{unit.name} health_url")
        name = checked(UNIT, unit.name, "unit")
        words.append(f"{name}={int(unit.settle_seconds)}={unit.health_url}")
    settings = {
        "node": checked(NODE_ID, node_id, "node_id"),
        "part": part,
        "reapply": str(int(reapply)),
        "root": checked(PATH, root, "kubelet_root"),
        "units": " ".join(words),
        "wait": str(int(wait_seconds)),
    }
    return "".join(["action=$1\n", *assign(settings)])


def _directories(directories: Iterable[Directory]) -> list[str]:
    return [
        f"dir {checked_path(each.path)} {checked(MODE, each.mode, each.path)}\n"
        for each in sorted(directories, key=lambda each: each.path)
    ]


def _binary(binary: Binary, units: tuple[ServiceUnit, ...]) -> str:
    path, subject = checked_path(binary.path), binary.path
    if bool(binary.sources) != bool(binary.digest):
        raise ValueError(f"{subject}: has sources or a digest alone; give both, or none")
    words = [
        checked(VERSION, binary.version, f"{subject} version"),
        shell_word(checked(SUM, binary.digest, f"{subject} digest")),
        _restarts(subject, binary.restarts, units),
        *(shell_word(checked(SOURCE, each, f"{subject} source")) for each in binary.sources),
    ]
    return f"binary {path} {' '.join(words)}\n"


def _files(files: Iterable[ManagedFile], units: tuple[ServiceUnit, ...]) -> list[str]:
    lines = []
    seen = set()
    for each in sorted(files, key=lambda each: each.path):
        if each.path in seen:
            raise ValueError(f"{each.path}: declared twice; a path has one content")
        seen.add(each.path)
        mode = checked(MODE, each.mode, f"{each.path} mode")
        call = f"put {checked_path(each.path)} {mode} {_restarts(each.path, each.restarts, units)}"
        lines.append(heredoc(call, each.content, each.path))
    return lines


def _restarts(path: str, names: tuple[str, ...], units: tuple[ServiceUnit, ...]) -> str:
    unknown = set(names) - {unit.name for unit in units}
    if unknown:
        raise ValueError(f"{path} restarts: {sorted(unknown)} is not among the script's units")
    return shell_word(" ".join(names))
