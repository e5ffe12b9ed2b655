"""The look at what somebody else has set up on a host, and what would be written in its place."""

from __future__ import annotations

import shlex

from kube_nodes.model.adoption import SetUp
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.render import paths
from kube_nodes.render.host_files import node_files
from kube_nodes.render.host_script import KUBE_PROXY, KUBELET
from kube_nodes.render.quoting import shell_word
from kube_nodes.render.shell import constant_shell

_SHELL = ("inspect", "foreign", "running")


def render_adoption_script() -> str:
    """Return the read-only script; its stdout is what model/host_facts.py reads."""
    calls = [
        ("text", "generation", paths.GENERATION),
        ("text", "machine", "/etc/machine-id"),
        ("running", KUBELET.name),
        ("running", KUBE_PROXY.name),
        ("strangers",),
    ]
    lines = (" ".join(map(shell_word, call)) for call in calls)
    return "\n".join(
        ["".join(map(constant_shell, _SHELL)) + next(lines), *lines, "echo end", "# end\n"]
    )


def declared_set_ups(cluster: Cluster, node: Node) -> dict[str, SetUp]:
    """Give how kubelet and kube-proxy are to run, by the unit's name."""
    texts = {file.path: file.content for file in node_files(cluster, node)}
    layout = node.options.layout
    places = {
        KUBELET.name: (paths.kubelet_unit(layout), paths.KUBELET_CONFIGURATION),
        KUBE_PROXY.name: (paths.kube_proxy_unit(layout), paths.KUBE_PROXY_CONFIGURATION),
    }
    return {
        name: SetUp(
            unit_file=unit,
            unit=texts[unit],
            arguments=_arguments(texts[unit]),
            configuration=texts.get(configuration, ""),
        )
        for name, (unit, configuration) in places.items()
    }


def _arguments(unit: str) -> tuple[str, ...]:
    """Read the arguments of ExecStart=, as systemd does what render_command wrote."""
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    return tuple(word.replace("%%", "%").replace("$$", "$") for word in words[1:])
