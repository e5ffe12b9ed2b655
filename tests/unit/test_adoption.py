"""What somebody else's set-up is told, and what ours would be: compared setting by setting."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from kube_nodes.fleet.adopt import Candidate, State, judge, show, to_json
from kube_nodes.fleet.cluster_view import ClusterView
from kube_nodes.fleet.ssh import Answer
from kube_nodes.model.adoption import SetUp, differences, read_flags, read_set_up, settings_text
from kube_nodes.model.component_settings import KUBE_PROXY, KUBELET
from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.host_facts import parse_host_facts
from kube_nodes.render.adoption import declared_set_ups, render_adoption_script
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration

_UNIT = "/usr/lib/systemd/system/kubelet.service"
_DROP_IN = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
_SETTINGS = parse_settings(right_configuration())
_NODE = _SETTINGS.nodes[0]
_MACHINE = "0123456789abcdef0123456789abcdef"


def _content(path: str, text: str) -> str:
    return f"content {path} {base64.b64encode(text.encode()).decode()}\n"


def _told(arguments: tuple[str, ...] = ("--max-pods=512",), more: str = "") -> str:
    """What a host with somebody else's kubelet tells."""
    lines = "".join(f"argument kubelet {each}\n" for each in ("/usr/bin/kubelet", *arguments))
    return (
        f"text machine {_MACHINE}\n"
        f"unit kubelet FragmentPath={_UNIT}\nunit kubelet DropInPaths=\n{lines}"
        f"text version-kubelet Kubernetes v1.37.2\n{_content(_UNIT, 'theirs')}{more}end\n"
    )


def _view(**changes: Any) -> ClusterView:
    node = {
        "metadata": {"name": "n1", "uid": "u", **changes.pop("metadata", {})},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": str(_NODE.kubelet_version), "machineID": _MACHINE},
            **changes,
        },
    }
    return ClusterView(nodes={"n1": node}, service_addresses=frozenset(), target="", pods=None)


def _judged(
    told: str, view: ClusterView | None = None, checks: tuple[Finding, ...] = ()
) -> Candidate:
    answer = Answer(node="n1", status=0, stdout=told)
    return judge(_SETTINGS, _NODE, answer, checks, view or _view())


def test_flags_are_read_as_pflag_does() -> None:
    words = ("--cluster_dns=10.0.0.1", "--v", "4", "--fail-swap-on", "--v=5", "word", "-x=1")
    assert read_flags(words) == {
        "cluster-dns": "10.0.0.1", "v": "5", "fail-swap-on": "true", "x": "1",
    }  # fmt: skip


def test_a_setting_is_the_same_whether_a_flag_or_a_file_says_it() -> None:
    flags = SetUp(
        arguments=(
            "--max-pods=512", "--anonymous-auth=false", "--cluster-dns=10.0.0.1,10.0.0.2",
            "--eviction-hard=memory.available<5%", "--config=/x", "--node-ip=10.0.0.9",
        ),
        configuration="clusterDomain: cluster.local\n",
    )  # fmt: skip
    file = SetUp(
        arguments=("--node-ip=10.0.0.9", "--config=/y"),
        configuration="""
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}}
clusterDNS: [10.0.0.1, 10.0.0.2]
clusterDomain: cluster.local
evictionHard: {memory.available: 5%}
maxPods: 512
""",
    )
    assert settings_text(KUBELET, flags) == settings_text(KUBELET, file)
    assert "- --node-ip=10.0.0.9" in settings_text(KUBELET, file)


@pytest.mark.parametrize("text", ["{", "- a\n", "a: &x [*x]\n", "\0"])
def test_a_configuration_that_is_none_has_no_fields(text: str) -> None:
    assert settings_text(KUBE_PROXY, SetUp(configuration=text, arguments=("--v=2",)))


def test_a_flag_wins_over_the_file_as_the_kubelet_has_it() -> None:
    set_up = SetUp(arguments=("--max-pods=7",), configuration="maxPods: 8\n")
    assert settings_text(KUBELET, set_up) == "maxPods: 7\n"


def test_only_what_has_another_value_differs() -> None:
    declared = declared_set_ups(_SETTINGS.cluster, _NODE)["kubelet"]
    there = replace(declared, unit="[Service]\n", arguments=(*declared.arguments, "--max-pods=512"))
    settings, unit = differences(KUBELET, "kubelet", there, declared)
    assert settings.what == "settings of kubelet, in flags and file together"
    changed = [
        line for line in settings.diff if line[:1] in "-+" and line[:3] not in ("---", "+++")
    ]
    assert changed == ["-maxPods: 512", "+maxPods: 110"]
    assert unit.what == "unit kubelet"
    assert list(unit.diff[:2]) == ["--- on the host", "+++ declared"]


def test_a_unit_is_read_with_its_drop_ins_and_a_text_with_a_credential_is_withheld() -> None:
    text = _told().replace("DropInPaths=", f"DropInPaths={_DROP_IN}")
    set_up = read_set_up(parse_host_facts(text + f"content {_DROP_IN} -\n"), "kubelet")
    assert set_up.unit.startswith(f"# {_UNIT}\ntheirs# {_DROP_IN}\n# its text looks")
    assert set_up.arguments == ("--max-pods=512",)


def test_a_host_is_ours_or_bare_or_a_candidate() -> None:
    assert _judged("text generation uid 1\nend\n").state is State.OURS
    assert _judged("end\n").state is State.NOTHING
    seen = _judged(_told())
    assert seen.state is State.READY
    assert seen.runs == f"kubelet v1.37.2: {_UNIT}\nno kube-proxy"
    assert len(seen.differences) == 4


def test_a_host_that_was_not_reached_is_one_of_its_own() -> None:
    answer = Answer(node="n1", error="port 22 did not answer")
    seen = judge(_SETTINGS, _NODE, answer, (), _view())
    assert seen.state is State.UNREACHED
    assert "did not answer" in str(seen.findings[0])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"conditions": []}, "is not Ready"),
        ({"nodeInfo": {"kubeletVersion": "v1.30.1", "machineID": _MACHINE}}, "is v1.30.1"),
        (
            {"nodeInfo": {"kubeletVersion": "v1.37.2", "machineID": "f" * 32}},
            "reported by another machine",
        ),
        ({"addresses": [{"type": "InternalIP", "address": "203.0.113.1"}]}, "none of the declared"),
    ],
)
def test_what_prepare_would_refuse_is_told_before(status: dict[str, Any], said: str) -> None:
    seen = _judged(_told(), _view(**status))
    assert seen.state is State.REFUSED
    assert said in str(seen.findings[0])


def test_a_node_that_is_not_there_and_what_preflight_finds_are_in_the_way() -> None:
    bare = ClusterView(nodes={}, service_addresses=frozenset(), target="", pods=None)
    assert "no Node of this name" in str(_judged(_told(), bare).findings[0])
    fault = Finding(node="n1", what="root-dir", level=Level.FAILED, value="/x")
    assert _judged(_told(), checks=(fault,)).state is State.REFUSED
    note = replace(fault, level=Level.NOTE)
    assert _judged(_told(), checks=(note,)).state is State.READY


def test_the_table_says_what_runs_and_how_to_go_on() -> None:
    stranger = "stranger kube-proxy kube-proxy\n"
    output = io.StringIO()
    console = Console(file=output, width=160)
    show([_judged(_told(more=stranger))], _SETTINGS.nodes, console)
    printed = output.getvalue()
    assert "kube-proxy: not of a unit" in printed
    assert "-maxPods: 512" in printed
    place = 'kube-nodes:pools["workers"].nodes["n1"].options.adopt'
    assert f"n1: to adopt it: pulumi config set --path '{place}' true" in printed


def test_a_diff_that_hosts_have_in_common_is_printed_once() -> None:
    seen = _judged(_told())
    output = io.StringIO()
    pair = [seen, replace(seen, node="n2", declared=True)]
    nodes = [_NODE, replace(_NODE, id="n2")]
    show(pair, nodes, Console(file=output, width=160))
    assert output.getvalue().count("-maxPods: 512") == 1
    assert "n1, n2: settings of kubelet" in output.getvalue()
    assert "n2: adopt is set; preview, and run up" in output.getvalue()


def test_a_program_is_told_the_same() -> None:
    document = json.loads(json.dumps(to_json([_judged(_told())])))
    (node,) = document["nodes"].values()
    assert (node["state"], node["declared"]) == ("can be adopted", False)
    assert "-maxPods: 512" in node["differences"]["settings of kubelet, in flags and file together"]


def test_the_look_is_one_whole_script() -> None:
    script = render_adoption_script()
    assert script.endswith("\necho end\n# end\n")
    assert "running kubelet\nrunning kube-proxy\n" in script
