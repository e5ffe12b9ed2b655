"""Render the scripts that run on a node.

A script is one line of data a setting, file or binary, and the name of what is called in host/
(shell.py brings it to the host); file contents stand in quoted here-documents, so that a preview
shows their changed lines. The text is deterministic: it is stored in the state, twice, and compared
on each run.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from string import ascii_letters

from kube_nodes.render.preflight import NO_RULES, HostRules
from kube_nodes.render.quoting import shell_word
from kube_nodes.render.shell import constant_shell, use

NODE_ID = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PATH = re.compile(r"(/[A-Za-z0-9_@%+=:,-][A-Za-z0-9._@%+=:,-]*)+")
MODE = re.compile(r"0[0-7]{3}")
SUM = re.compile(r"([0-9a-f]{64}|[0-9a-f]{128})?")
VERSION = re.compile(r"v\d+\.\d+\.\d+")
URL = re.compile(r"https?://[^\s@/]+(/[^\s]*)?")
SOURCE = re.compile(f"{URL.pattern}|{PATH.pattern}")
UNIT = re.compile(r"[A-Za-z0-9_-]+")
RUN_ID = re.compile(r"[0-9a-f-]{1,64}")
DELIMITERS = ("END", *(f"{letter}END" for letter in ascii_letters))
UNITS_SHELL = (
    "base", "record", "version", "programs", "units", "proxy_cleanup", "pods", "life",
)  # fmt: skip
TOOLS = (
    "cmp", "curl", "find", "flock", "grep", "journalctl", "sha256sum", "systemctl", "timeout",
    "umount", "xargs",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ServiceUnit:
    """A unit that a script restarts, and how to know that it came up."""

    name: str
    health_url: str = ""
    """URL on the node that answers 200 once it works; empty: there is none."""
    settle_seconds: int = 0
    """How long it has to live to count as up where it cannot answer: without a URL, and before the
    host has its identity in the cluster. kube-proxy answers only when its Node exists; a kubelet
    without rotateCertificates only when it has its certificate."""


KUBELET = ServiceUnit(
    name="kubelet", health_url="http://127.0.0.1:10248/healthz", settle_seconds=10
)
KUBE_PROXY = ServiceUnit(
    name="kube-proxy", health_url="http://127.0.0.1:10256/healthz", settle_seconds=2
)
CONTAINERD = ServiceUnit(name="containerd")


@dataclass(frozen=True, kw_only=True)
class ProxyNeeds:
    """What kube-proxy will need of a host."""

    mode: str = "nftables"
    families: tuple[int, ...] = (4,)
    """IP families of the pods: 4, 6 or both."""
    conntrack: bool = False
    """Whether its version runs the program conntrack."""
    scheduler: str = "rr"
    """Of the mode ipvs."""

    @property
    def backends(self) -> tuple[str, ...]:
        """What of the kernel the mode writes to; each has checks of its own in host/."""
        own = {"nftables": ("nftables",), "ipvs": ("iptables", "ipvs")}
        return own.get(self.mode, ("iptables",))

    @property
    def shell(self) -> tuple[str, ...]:
        """Names of the files in host/ with those checks."""
        return tuple(f"proxy_{backend}" for backend in self.backends)


NFTABLES = ProxyNeeds()


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
        "server": _checked(URL, api_server, "api_server"),
    }
    # An epoch above the first is compared with the host's; the first is no renewal.
    renewal = certificate_epoch > 1
    parts = [
        _header("units", node_id, reapply, units, wait_seconds=wait_seconds, root=kubelet_root),
        *_settings(life),
        *_settings({"epoch": str(int(certificate_epoch))} if renewal else {}),
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
    return _closed(parts, "finish\n")


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
        *_settings({"generation": str(int(generation))}),
        use("base", "credentials", *(("token",) if token_end is not None else ())),
        "begin\n",
        *_files(files, units),
        *([_heredoc(f"vouch {_path(vouched)}", ca_pem, "ca_pem")] if vouched else []),
    ]
    if token_end is not None:
        parts.append(f"admitted {int(token_end)}\n")
    return _closed(parts, "finish\n")


def render_preflight_script(
    *,
    node_id: str,
    api_server: str,
    ca_pem: str,
    rules: HostRules = NO_RULES,
    units: Iterable[ServiceUnit] = (KUBELET, KUBE_PROXY),
    binaries: Iterable[Binary] = (),
    proxy: ProxyNeeds = NFTABLES,
) -> str:
    """Return the read-only script that reports everything about a host that a join would meet."""
    programs = [
        f"{_path(each.path)}={_checked(VERSION, each.version, each.path)}"
        for each in sorted(binaries, key=lambda each: each.path)
        if not each.sources
    ]
    settings = {
        "node": _checked(NODE_ID, node_id, "node_id"),
        "server": _checked(URL, api_server, "api_server"),
        "units": " ".join(_checked(UNIT, unit.name, "unit") for unit in units),
        "tools": " ".join(TOOLS),
        **_proxy_settings(proxy),
    }
    # Without a runtime there is no kubelet, and none of what it needs.
    runtime = ("runtime",) if rules.runtime_socket else ()
    # What we install ourselves need not be there.
    own = ("programs",) if programs else ()
    adopting = ("foreign", "preflight_adopt") if rules.adopting_unit_dir else ()
    foreign = "adoption" if adopting else "foreign"
    checks = (*own, "host", "api", "identity", *runtime, "disks", "ports", foreign, "proxy_mode")
    if own:
        settings["programs"] = " ".join(programs)
    parts = [
        *_settings(settings | rules.settings()),
        use(
            *(("version", "preflight_programs") if own else ()),
            "preflight",
            *(f"preflight_{each}" for each in runtime),
            *("preflight_place", *adopting, "proxy_mode", *proxy.shell),
        ),
        _heredoc(f"main {' '.join(checks)}", ca_pem, "ca_pem"),
    ]
    return _closed(parts, "")


def render_service_check_script(
    *,
    node_id: str,
    url: str,
    run_id: str,
    ca_pem: str = "",
    accept: Iterable[str] = ("200", "401", "403"),
    wait_seconds: int = 60,
) -> str:
    """Return the script that asks `url` from the node; `run_id` ties it to the run it proves."""
    codes = tuple(_checked(re.compile(r"[1-5][0-9]{2}"), code, "accept") for code in accept)
    settings = {
        "node": _checked(NODE_ID, node_id, "node_id"),
        "run": _checked(RUN_ID, run_id, "run_id"),
        "url": _checked(URL, url, "url"),
        "accept": " ".join(codes),
        "wait": str(int(wait_seconds)),
    }
    parts = [
        *_settings(settings),
        use("service_check"),
        _heredoc("ask", ca_pem, "ca_pem"),
    ]
    return _closed(parts, "")


def render_token_file_script(*, host_id: str, owner: str, file: str, user: str, line: str) -> str:
    """Return the script that puts a line, secret, into the API server's file of static tokens.

    `owner` names whose line it is: on a host each owner has one. `user` is the line's, of whom no
    other line may be there.
    """
    settings = {
        "node": _checked(NODE_ID, host_id, "host_id"),
        "owner": owner,
        "file": _path(file),
        "user": user,
    }
    parts = [
        "action=$1\n",
        *_settings(settings),
        # A host of the control plane gets no scripts to keep.
        constant_shell("base"),
        constant_shell("token_file"),
        "begin\n",
        _heredoc("own", line, "line"),
    ]
    return _closed(parts, "finish\n")


def _proxy_settings(proxy: ProxyNeeds) -> dict[str, str]:
    return {
        "proxy_mode": proxy.mode,
        "proxy_needs": " ".join(proxy.backends),
        "families": " ".join(str(family) for family in proxy.families),
        "conntrack": "yes" if proxy.conntrack else "no",
        "scheduler": _checked(UNIT, proxy.scheduler, "ipvs.scheduler"),
    }


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
            _checked(URL, unit.health_url, f"{unit.name} health_url")
        name = _checked(UNIT, unit.name, "unit")
        words.append(f"{name}={int(unit.settle_seconds)}={unit.health_url}")
    settings = {
        "node": _checked(NODE_ID, node_id, "node_id"),
        "part": part,
        "reapply": str(int(reapply)),
        "root": _checked(PATH, root, "kubelet_root"),
        "units": " ".join(words),
        "wait": str(int(wait_seconds)),
    }
    return "".join(["action=$1\n", *_settings(settings)])


def _settings(settings: dict[str, str]) -> list[str]:
    return [f"{name}={shell_word(value)}\n" for name, value in settings.items()]


def _directories(directories: Iterable[Directory]) -> list[str]:
    return [
        f"dir {_path(each.path)} {_checked(MODE, each.mode, each.path)}\n"
        for each in sorted(directories, key=lambda each: each.path)
    ]


def _binary(binary: Binary, units: tuple[ServiceUnit, ...]) -> str:
    path, subject = _path(binary.path), binary.path
    if bool(binary.sources) != bool(binary.digest):
        raise ValueError(f"{subject}: has sources or a digest alone; give both, or none")
    words = [
        _checked(VERSION, binary.version, f"{subject} version"),
        shell_word(_checked(SUM, binary.digest, f"{subject} digest")),
        _restarts(subject, binary.restarts, units),
        *(shell_word(_checked(SOURCE, each, f"{subject} source")) for each in binary.sources),
    ]
    return f"binary {path} {' '.join(words)}\n"


def _files(files: Iterable[ManagedFile], units: tuple[ServiceUnit, ...]) -> list[str]:
    lines = []
    seen = set()
    for each in sorted(files, key=lambda each: each.path):
        if each.path in seen:
            raise ValueError(f"{each.path}: declared twice; a path has one content")
        seen.add(each.path)
        mode = _checked(MODE, each.mode, f"{each.path} mode")
        call = f"put {_path(each.path)} {mode} {_restarts(each.path, each.restarts, units)}"
        lines.append(_heredoc(call, each.content, each.path))
    return lines


def _restarts(path: str, names: tuple[str, ...], units: tuple[ServiceUnit, ...]) -> str:
    unknown = set(names) - {unit.name for unit in units}
    if unknown:
        raise ValueError(f"{path} restarts: {sorted(unknown)} is not among the script's units")
    return shell_word(" ".join(names))


def _heredoc(call: str, content: str, subject: str) -> str:
    """Return `call` with `content` on its stdin, byte for byte."""
    if "\0" in content:
        raise ValueError(f"{subject} content: holds a NUL character; give text")
    if content and not content.endswith("\n"):
        raise ValueError(f"{subject} content: does not end with a line break; add one")
    lines = content.split("\n")
    end = next((word for word in DELIMITERS if not any(_breaks(line, word) for line in lines)), "")
    if not end:
        raise ValueError(f"{subject} content: every possible delimiter stands in it")
    return f"{call} <<'{end}'\n{content}{end}\n"


def _breaks(line: str, end: str) -> bool:
    """Say whether a line ends the here-document, or loses a byte in it.

    dash 0.5.12 drops the first byte of a character beyond ASCII that follows a beginning of the
    delimiter at the start of a line.
    """
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(line, end, strict=False)))
    return line == end or (0 < same < len(line) and not line[same].isascii())


def _closed(parts: Iterable[str], last: str) -> str:
    """Join the parts; the last line lets the receiver see that nothing was cut off."""
    return "".join(parts) + last + "# end\n"


def _path(path: str) -> str:
    return _checked(PATH, path, "path")


def _checked(pattern: re.Pattern[str], value: str, subject: str) -> str:
    """Return a value that matches the pattern as a whole; subject names it in the error."""
    if not pattern.fullmatch(value):
        raise ValueError(f"{subject}: {value!r} does not match {pattern.pattern}")
    return value
