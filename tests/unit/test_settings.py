"""The configuration: each wrong one has its own error, and nothing is done before all is told."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube_nodes.render.host_files import (
    render_node_credentials,
    render_node_preflight,
    render_node_units,
)
from kube_nodes.settings import (
    ConfigurationError,
    Settings,
    parse_settings,
    read_secret,
    read_settings,
)
from tests.configurations import (
    WrongConfiguration,
    materials,
    merge,
    right_configuration,
    wrong_configurations,
)

_WRONG = wrong_configurations()
_CASES = pytest.mark.parametrize("wrong", _WRONG, ids=[wrong.title for wrong in _WRONG])
_contacts: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _contacts is not None and event in (
        "socket.__new__",
        "socket.getaddrinfo",
        "subprocess.Popen",
    ):
        _contacts.append(event)


# An audit hook sees every socket and process of this interpreter, whoever opens it.
sys.addaudithook(_watch)


@pytest.fixture
def contacts() -> Iterator[list[str]]:
    """Everything that was contacted or started while the test ran."""
    global _contacts  # noqa: PLW0603 - the hook can't be taken away again
    _contacts = []
    yield _contacts
    _contacts = None


def faults(values: dict[str, Any], secrets: dict[str, str] | None = None) -> list[str]:
    """Collect what is wrong with a configuration."""
    try:
        parse_settings(values, secrets or {})
    except ConfigurationError as error:
        return error.faults
    return []


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Pulumi's store of the configuration, empty again afterwards."""
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)
    yield {}
    pulumi.runtime.set_all_config({}, [])


def store(values: dict[str, Any], secrets: dict[str, str] | None = None) -> None:
    """Store a configuration as the engine hands it to a program: texts, or JSON."""
    texts = {
        key: text if isinstance(text, str) else json.dumps(text) for key, text in values.items()
    }
    names = [f"kube-nodes:{key}" for key in secrets or {}]
    everything = {f"kube-nodes:{key}": text for key, text in (texts | (secrets or {})).items()}
    pulumi.runtime.set_all_config({**everything, "aws:region": "eu", "other:server": "x"}, names)


@_CASES
def test_a_wrong_configuration_is_answered_with_exactly_its_errors(
    wrong: WrongConfiguration, contacts: list[str], stored: Any
) -> None:
    if wrong.plain or wrong.sealed:
        sealed = {key: json.dumps(wrong.values[key]) for key in wrong.sealed}
        store({**wrong.values, **wrong.plain}, wrong.secrets | sealed)
        with pytest.raises(ConfigurationError) as raised:
            read_settings()
        assert raised.value.faults == wrong.errors
    else:
        assert faults(wrong.values, wrong.secrets) == wrong.errors
    assert contacts == []


@_CASES
def test_an_error_has_a_path_a_rule_and_a_remedy(wrong: WrongConfiguration) -> None:
    for error in wrong.errors:
        assert re.match(r"kube-nodes:[\w.\-/\[\] ;$()`]+: .*\S; \S", error)


def test_the_watch_over_sockets_sees_one(contacts: list[str]) -> None:
    socket.socket().close()

    assert contacts == ["socket.__new__"]


def test_there_are_many_wrong_configurations_and_no_two_break_the_same_rule_of_a_key() -> None:
    broken = [
        (_key(path), _rule(rest))
        for wrong in _WRONG
        if len(wrong.errors) == 1
        for path, _, rest in [wrong.errors[0].partition(": ")]
    ]
    assert len(set(broken)) >= 200
    assert [each for each in broken if broken.count(each) > 1] == []


def _key(path: str) -> str:
    """Take off a path what a user may choose, and at which level an option was written."""
    path = re.sub(r"\[\d+\]", "", path)
    path = re.sub(r"\bbinaries\.v?\d+\.\d+(\.\d+)?", "binaries.<version>", path)
    path = re.sub(r"\b(labels|featureGates)\..*", r"\1.<name>", path)
    path = re.sub(r"\b(pools|nodes)\.[^.]+", r"\1.<name>", path)
    return re.sub(r"pools\.<name>\.(nodes\.<name>\.)?options", "options", path)


def _rule(rest: str) -> str:
    """Take the value off what an error says."""
    return re.sub(r'^("(\\.|[^"])*"|-?[\d.]+|true|false|\{…\}|\[…\]) ', "", rest).partition(";")[0]


def test_the_text_of_the_error_counts_the_faults_and_says_that_nothing_was_changed() -> None:
    values = right_configuration(server="x", options={"maxPods": 0})
    with pytest.raises(ConfigurationError) as raised:
        parse_settings(values)
    assert str(raised.value).splitlines() == [
        "2 faults in the stack's configuration; nothing was changed:",
        '  kube-nodes:server: "x" is not an API server\'s URL; write such as https://10.0.0.1:6443',
        "  kube-nodes:options.maxPods: 0 is out of range; give 1 to 1000 pods",
    ]


_JUMP_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICEM9a/ROWFNdybP/Vtux8H+QJEib0YMWkGln6u/GNlb"
_EVERYTHING = right_configuration(
    clusterName="lab",
    podCidrs=["10.200.0.0/16", "fd00:200::/56"],
    podCidrAllocator="network-add-on",
    serviceCidrs=["10.96.0.0/16", "fd00:96::/112"],
    binaries={
        "1.37.2": materials()["binaries"],
        "1.36.3": {
            "kubelet": {"file": "binaries/1.36.3/kubelet", "sha512": "e" * 128},
            "kubeProxy": {"file": "binaries/1.36.3/kube-proxy", "sha512": "f" * 128},
        },
    },
    kubeProxyCertificate={
        "issuer": "ca",
        "algorithm": "ECDSA",
        "validityHours": 24,
        "epoch": 2,
        "subject": {
            "country": "CN",
            "province": "ShangHai",
            "locality": "ShangHai",
            "organization": "k8s",
            "organizationalUnit": "paas",
        },
    },
    gpuRuntimeClass="nvidia-own",
    serviceCheck={"image": "registry.example:5000/web:1", "port": 8080, "timeoutSeconds": 30},
    staticToken={
        "user": "joins",
        "uid": 1,
        "group": "system:bootstrappers:static",
        "binding": "group",
        "epoch": 2,
        "file": "/srv/token.csv",
        "hosts": {"n1": {**materials()["n3"], "ssh": {"user": "admin", "port": 2222}}},
    },
    options={
        "kubernetesVersion": "1.37.2",
        "kubeProxyVersion": "1.36.3",
        "role": "worker",
        "tokenMode": "static",
        "ssh": {
            "user": "admin",
            "port": 2222,
            "jump": {"address": "jump.example", "user": "jump", "port": 2222, "hostKey": _JUMP_KEY},
        },
        "labels": {"example.com/zone": "a", "empty": ""},
        "taints": ["dedicated=gpu:NoSchedule", "old:NoExecute"],
        "mirrors": ["https://mirror.example/kubernetes", "http://192.0.2.9:8080/"],
        "maxPods": 50,
        "podPidsLimit": 1024,
        "kubeReserved": {"cpu": "200m", "memory": "512Mi"},
        "systemReserved": {"cpu": "1.5", "pid": "1000"},
        "evictionHard": {"memory.available": "5%", "nodefs.available": None},
        "clusterDns": ["169.254.20.10", "fd00:96::a"],
        "clusterDomain": "lab.example",
        "cgroupDriver": "systemd",
        "containerRuntimeEndpoint": "unix:///run/crio/crio.sock",
        "containerd": {
            "sandboxImage": "registry.example/pause:3.10",
            "configVersion": 3,
            "restrictOomScoreAdj": True,
            "cniBinDir": "/usr/lib/cni",
            "cniConfDir": "/etc/cni/net.d",
        },
        "gpu": "nvidia",
        "layout": {
            "binaryDir": "/opt/kubernetes/bin",
            "unitDir": "/usr/lib/systemd/system",
            "caCertificate": "/etc/kubernetes/pki/cluster-ca.pem",
            "bootstrapKubeconfig": "/etc/kubernetes/bootstrap-kubelet.conf",
            "kubeletKubeconfig": "/etc/kubernetes/kubelet.conf",
            "kubeProxyKubeconfig": "/etc/kubernetes/kube-proxy.kubeconfig",
            "certificateDir": "/var/lib/kubelet/pki",
        },
        "proxyMode": "iptables",
        "proxyBindAddress": "0.0.0.0",  # noqa: S104
        "proxyHealthzAddress": "[::]:11256",
        "proxyMetricsAddress": "127.0.0.1:11249",
        "kubeletConfiguration": {"failSwapOn": False, "featureGates": {"NodeSwap": True}},
        "kubeProxyConfiguration": {"conntrack": {"min": 0}, "iptables": {"syncPeriod": "1m0s"}},
        "kubeletUnit": {"Service": {"Environment": ["A=1", "B=2"]}},
        "kubeProxyUnit": {"Unit": {"Wants": []}},
        "verbosity": 4,
        "kubeletCertificateEpoch": 2,
        "joinTimeoutSeconds": 60,
        "drainTimeoutSeconds": 60,
        "drainForce": True,
    },
    allowRemovals={"workers": 5},
    sharedStack="",
    pools={
        "workers": {
            "canary": "10%",
            "batch": 5,
            "maxUnavailable": "10%",
            "options": {"maxPods": 60},
            "nodes": {
                "n1": {
                    "nodeIp": "fd00::21",
                    "generation": 2,
                    "reapply": 3,
                    "held": True,
                    "lost": True,
                    "options": {"labels": {"gpu": "true"}},
                },
                # No version has these beside the rest; a host without a kubelet ignores them.
                "n2": {
                    "options": {
                        "role": "proxy-only",
                        "docker": {
                            "sandboxImage": "registry.example/pause:3.0",
                            "cniBinDir": "/opt/cni/bin",
                            "cniConfDir": "/etc/cni/net.d",
                            "runtimeCgroups": "/systemd/system.slice",
                        },
                        "cadvisorAllowedCidrs": ["10.0.0.0/8"],
                    },
                },
            },
        }
    },
)
_CA_KEY = {"caKey": materials()["ca_key"]}


def test_every_key_can_be_set() -> None:
    assert faults(_EVERYTHING, {**_CA_KEY, "sshPrivateKey": materials()["ssh_key"]}) == []


def test_this_test_sets_every_key_that_there_is() -> None:
    assert set(_keys(Settings.model_json_schema())) == set(_leaf_names(_EVERYTHING))


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    for part in (schema, *schema["$defs"].values()):
        if part.get("title") not in ("Taint", "KubernetesVersion", "Share"):
            yield from part.get("properties", {})


def _leaf_names(values: dict[str, Any]) -> Iterator[str]:
    maps = ("labels", "kubeReserved", "systemReserved", "evictionHard")
    free = ("kubeletConfiguration", "kubeProxyConfiguration", "kubeletUnit", "kubeProxyUnit")
    for key, value in values.items():
        if key not in ("workers", "n1", "n2", "1.36.3", "1.37.2"):
            yield key
        if isinstance(value, dict) and key not in maps + free:
            yield from _leaf_names(value)


def _places(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield place
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _places(inner, (*place, key))


_PLACES = list(_places(_EVERYTHING))[1:]


def _with(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(place):
        value = {key: value}
    return merge(_EVERYTHING, value)


@pytest.mark.parametrize("place", _PLACES, ids=".".join)
@pytest.mark.parametrize("secret", ["key", "ssh_key", "password"])
def test_a_secret_in_the_wrong_place_is_in_no_error(place: tuple[str, ...], secret: str) -> None:
    password = "hunter2" * 3
    text = f"https://ci:{password}@files.example/" if secret == "password" else materials()[secret]
    hidden = [password] if secret == "password" else text.split()[3:-3]

    told = "\n".join(faults(_with(place, text), _CA_KEY))

    assert not [part for part in hidden if part in told]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(_PLACES), _JSON)
@example(("options", "kubeletConfiguration"), {"nodeStatusMaxImages": 2**70, "podCIDR": "\x85"})
@example(("clusterName",), "n\u00f6rd # '1'")
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_told_as_faults_or_can_be_rendered(
    place: tuple[str, ...], value: Any
) -> None:
    for fault in faults(_with(place, value), _CA_KEY):
        assert fault.startswith("kube-nodes:")
        assert "\n" not in fault
    if faults(_with(place, value), _CA_KEY):
        return
    accepted = parse_settings(_with(place, value), _CA_KEY)
    for node in accepted.nodes:
        assert render_node_units(accepted.cluster, node, None).endswith("# end\n")
        assert render_node_preflight(accepted.cluster, node).endswith("# end\n")
        assert render_node_credentials(accepted.cluster, node, "id.secret", "c", "k")


def test_a_key_of_two_lines_is_told_on_one() -> None:
    assert faults(right_configuration(options={"labels": {"a\nb": "c"}}))[0].startswith(
        'kube-nodes:options.labels.a\\nb: "a\\nb" is not a label key; '
    )


def test_an_address_is_kept_in_its_canonical_form() -> None:
    values = right_configuration(
        server="HTTPS://[2001:DB8:0::10]:6443/",
        podCidrs=["FD00:200:0::/56"],
        serviceCidrs=["fd00:96::/112"],
        options={"clusterDns": ["FD00:96:0::a"]},
    )
    nodes = values["pools"]["workers"]["nodes"]
    nodes["n1"]["address"], nodes["n2"]["address"] = "2001:DB8::0:21", "2001:db8::22"

    got = parse_settings(values)

    assert got.server == "https://[2001:db8::10]:6443"
    assert got.pod_cidrs == ["fd00:200::/56"]
    assert got.nodes[0].address == got.nodes[0].node_ip == "2001:db8::21"
    assert got.nodes[0].options.cluster_dns == ["fd00:96::a"]


def test_a_host_key_is_kept_without_its_comment() -> None:
    values = right_configuration()
    values["pools"]["workers"]["nodes"]["n1"]["hostKey"] += "  root@n1\n"

    assert parse_settings(values).nodes[0].host_key.split()[2:] == []


def test_two_cas_may_stand_together_while_one_is_replaced_by_the_other() -> None:
    both = materials()["ca"] + "\r\n" + materials()["leaf"]
    assert faults(right_configuration(caCertificate=both)) == [
        "kube-nodes:caCertificate: is not a CA's certificate; give the cluster's ca.crt"
    ]
    twice = "the old one:\r\n" + 2 * materials()["ca"].replace("\n", "\r\n")
    assert parse_settings(right_configuration(caCertificate=twice)).ca_certificate == (
        2 * materials()["ca"]
    )


class TestReading:
    """What is read from Pulumi's store."""

    def test_strings_numbers_and_structures_arrive_as_they_were_written(self, stored: Any) -> None:
        store(right_configuration(clusterName="1.5"))

        got = read_settings()

        assert got.cluster_name == "1.5"
        assert [node.id for node in got.nodes] == ["n1", "n2"]

    def test_keys_of_another_namespace_are_left_alone(self, stored: Any) -> None:
        store(right_configuration())

        assert read_settings().server == "https://192.0.2.10:6443"

    def test_unknown_keys_are_told_with_what_was_meant_and_never_with_their_value(
        self, stored: Any
    ) -> None:
        store(right_configuration(podCIDRs=["10.0.0.0/8"], cakey="s3cret", colour="s3cret"))

        with pytest.raises(ConfigurationError) as raised:
            read_settings()

        assert raised.value.faults == [
            "kube-nodes:cakey: is not a known key; did you mean caKey?",
            "kube-nodes:colour: is not a known key; remove it",
            "kube-nodes:podCIDRs: is not a known key; did you mean podCidrs?",
        ]

    def test_keys_in_the_environment_count_too(
        self, stored: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(right_configuration())
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps({"kube-nodes:serviceCIDR": "x"}))

        with pytest.raises(ConfigurationError, match="did you mean serviceCidrs"):
            read_settings()

    def test_a_secret_key_that_is_stored_in_the_open_is_refused(self, stored: Any) -> None:
        store(right_configuration(sshPrivateKey=materials()["ssh_key"]))

        with pytest.raises(ConfigurationError) as raised:
            read_settings()

        assert raised.value.faults == [
            "kube-nodes:sshPrivateKey: is stored in the open; "
            "set it with --secret, and use a new key"
        ]

    def test_an_open_key_that_is_stored_as_a_secret_is_refused(self, stored: Any) -> None:
        values = right_configuration()
        store(values, {"server": values.pop("server")})

        with pytest.raises(ConfigurationError) as raised:
            read_settings()

        assert raised.value.faults == [
            "kube-nodes:server: holds a secret, which previews would show; set it with --plaintext"
        ]

    def test_a_secret_that_is_no_key_is_told_without_its_text(self, stored: Any) -> None:
        store(right_configuration(maxPods=1), {"caKey": "s3cret"})

        with pytest.raises(ConfigurationError) as raised:
            read_settings()

        assert raised.value.faults == [
            "kube-nodes:maxPods: is not a known key; did you mean options.maxPods?",
            "kube-nodes:caKey: is not a private key; give the whole file, BEGIN to END",
        ]

    @pytest.mark.parametrize(("issuer", "warnings"), [("cluster", 1), ("ca", 0)])
    def test_a_ca_key_that_nothing_uses_is_warned_of(
        self, stored: Any, monkeypatch: pytest.MonkeyPatch, issuer: str, warnings: int
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(pulumi.log, "warn", told.append)
        store(right_configuration(kubeProxyCertificate={"issuer": issuer}), _CA_KEY)

        read_settings()

        assert told == warnings * [
            "kube-nodes:caKey: is not used by the issuer cluster; "
            "remove it with `pulumi config rm kube-nodes:caKey`"
        ]

    def test_a_secret_stays_one_when_it_is_read(self, stored: Any) -> None:
        store(right_configuration(), {"sshPrivateKey": materials()["ssh_key"]})

        read_settings()
        secret = read_secret("sshPrivateKey")

        assert isinstance(secret, pulumi.Output)
        assert read_secret("caKey") is None


def test_what_takes_a_lost_hosts_place_may_have_its_address() -> None:
    """Both stand in one change: the lost one leaves with a later run."""
    values = right_configuration()
    nodes = values["pools"]["workers"]["nodes"]
    nodes["n9"] = nodes["n1"]
    assert len(faults(values)) == 2
    nodes["n1"] = {**nodes["n1"], "lost": True}
    assert faults(values) == []


@pytest.mark.parametrize("share", [0, "0%", "101%", 1.5, "ten"])
def test_some_node_can_always_be_drained(share: Any) -> None:
    values = right_configuration()
    values["pools"]["workers"]["maxUnavailable"] = share
    (fault,) = faults(values)
    assert fault.startswith("kube-nodes:pools.workers.maxUnavailable: ")
