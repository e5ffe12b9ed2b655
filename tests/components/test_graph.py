"""Which resources a stack consists of: types, names, parents, what each of them says."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from docs.reference import CHECKOUT
from tests.components.recording import Graph, declare, opened
from tests.components.stacks import (
    SECRETS,
    STEPS,
    Stack,
    configuration,
    of_node,
    one,
    proxy_only,
    twenty,
    two,
    with_secrets,
)

REMOTE, LOCAL = "command:remote:Command", "command:local:Command"
_STACK = {
    "cluster": "pulumi:providers:kubernetes",
    "ClusterRbac rbac": "kube-nodes:index:ClusterRbac",
    "rbac-node-bootstrapper": "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    "rbac-node-client-renewal": "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    "KubeProxyCertificate kube-proxy": "kube-nodes:index:KubeProxyCertificate",
    "kube-proxy-key-1": "tls:index/privateKey:PrivateKey",
    "kube-proxy-request-1": "tls:index/certRequest:CertRequest",
    "kube-proxy-certificate-1": LOCAL,
    "ServiceCheck service-check": "kube-nodes:index:ServiceCheck",
    "DrainLimit workers": "kube-nodes:index:DrainLimit",
    "workers-drain-limit": "kubernetes:core/v1:ConfigMap",
    "NodePool workers": "kube-nodes:index:NodePool",
}
_PROXY_NODE = {
    "WorkerNode {}": "kube-nodes:index:WorkerNode",
    "{}-scripts": "command:remote:CopyToRemote",
    "{}-preflight": REMOTE,
    "{}-credentials": REMOTE,
    "{}-units": REMOTE,
    "{}-service-check": REMOTE,
}
_NODE = _PROXY_NODE | {
    "BootstrapToken {}-token": "kube-nodes:index:BootstrapToken",
    "{}-token-id": "random:index/randomString:RandomString",
    "{}-token-secret": "random:index/randomPassword:RandomPassword",
    "{}-token": "kubernetes:core/v1:Secret",
    "{}-prepare": LOCAL,
    "{}-membership": LOCAL,
}


def _types(graph: Graph) -> dict[str, str]:
    return {key: resource.type for key, resource in graph.resources.items()}


def _of(node: str, kind: dict[str, str]) -> dict[str, str]:
    return {key.format(node): type_ for key, type_ in kind.items()}


def test_a_stack_of_one_node_consists_of_these() -> None:
    assert _types(one()) == _STACK | _of("n1", _NODE)


def test_a_stack_of_twenty_nodes_consists_of_the_same_for_each() -> None:
    nodes = [_of(f"n{number}", _NODE) for number in range(1, 21)]
    # A canary, and five at once after it.
    gates = {f"workers-wave-{number}": LOCAL for number in range(2, 6)}
    assert _types(twenty()) == _STACK | gates | {
        key: type_ for each in nodes for key, type_ in each.items()
    }


def test_a_node_with_kube_proxy_alone_has_no_token_no_prepare_and_no_membership() -> None:
    nodes = _of("n1", _NODE) | _of("n2", _PROXY_NODE)
    assert _types(proxy_only()) == _STACK | nodes | {"workers-wave-2": LOCAL}


def test_every_resource_is_where_it_belongs() -> None:
    graph = proxy_only()
    pool = {"WorkerNode n1", "WorkerNode n2", "workers-wave-2"}
    assert graph.children("NodePool workers") == pool
    token = {"BootstrapToken n1-token"}
    assert graph.children("WorkerNode n1") == token | {f"n1-{step}" for step in STEPS}
    assert graph.children(*token) == {"n1-token-id", "n1-token-secret", "n1-token"}
    assert graph.children("WorkerNode n2") == {key.format("n2") for key in _PROXY_NODE} - {
        "WorkerNode n2"
    }
    assert graph.children("ClusterRbac rbac") == {
        "rbac-node-bootstrapper",
        "rbac-node-client-renewal",
    }
    assert graph.children("KubeProxyCertificate kube-proxy") == {
        "kube-proxy-key-1",
        "kube-proxy-request-1",
        "kube-proxy-certificate-1",
    }


def test_a_node_that_moves_to_another_pool_keeps_its_identity() -> None:
    values = configuration(1, 2)
    moved = values["pools"]["workers"]["nodes"].pop("n2")
    values["pools"]["others"] = {"nodes": {"n2": moved}}
    graph = declare(values)

    def kinds(graph: Graph, key: str) -> list[str]:
        """A URN has the types of the parents, and not their names."""
        resource, kinds = graph[key], []
        by_urn = {each.urn: each for each in graph.resources.values()}
        while resource.parent in by_urn:
            kinds.append(resource.type)
            resource = by_urn[resource.parent]
        return [*kinds, resource.type]

    for resource in two().of_node("n2"):
        assert kinds(graph, resource.key) == kinds(two(), resource.key)


def test_kubernetes_objects_are_all_of_the_one_provider_that_is_bound_to_the_cluster() -> None:
    for graph in (one(), with_secrets()):
        objects = [r for r in graph.resources.values() if r.type.startswith("kubernetes:")]
        assert len(objects) >= 3
        assert {each.provider for each in objects} == {f"{graph['cluster'].urn}::cluster-id"}
    inputs = one()["cluster"].inputs
    assert inputs["clusterIdentifier"] == configuration(1)["clusterUid"]
    assert not inputs.get("kubeconfig"), "the operator's own, which is in no state"


def test_no_resource_has_an_option_that_hides_or_keeps_a_change() -> None:
    # What the packages themselves set: triggers replace a Command, older names of API versions.
    usual = {"replaceOnChanges": ["triggers[*]"]}
    for graph in (one(), proxy_only(), with_secrets()):
        for resource in graph.resources.values():
            options = {key: value for key, value in resource.options.items() if key != "aliases"}
            assert options in ({}, usual), resource.key
            own = [each["spec"] for each in resource.options.get("aliases", ())]
            assert all(set(spec) == {"type", "parentUrn"} for spec in own), resource.key


class TestBindings:
    """Who may do what in the cluster."""

    def test_only_our_own_tokens_may_ask_for_a_certificate(self) -> None:
        inputs = one()["rbac-node-bootstrapper"].inputs
        assert inputs["roleRef"]["name"] == "system:node-bootstrapper"
        (subject,) = inputs["subjects"]
        assert (subject["kind"], subject["name"]) == ("Group", "system:bootstrappers:kube-nodes")

    def test_nodes_may_renew_their_own_and_nothing_approves_a_first_request(self) -> None:
        roles = {
            resource.inputs["roleRef"]["name"]: resource.inputs["subjects"][0]["name"]
            for resource in one().resources.values()
            if resource.type.endswith("RoleBinding")
        }
        renewal = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
        assert roles == {
            "system:node-bootstrapper": "system:bootstrappers:kube-nodes",
            renewal: "system:nodes",
        }


class TestToken:
    """The token's Secret, as it is between joins."""

    def test_it_is_declared_closed(self) -> None:
        inputs = opened(one()["n1-token"].inputs)
        token_id = opened(one()["n1-prepare"].inputs)["stdin"].split('"token":{"id":"')[1][:6]
        assert inputs["type"] == "bootstrap.kubernetes.io/token"
        assert inputs["metadata"]["name"] == f"bootstrap-token-{token_id}"
        assert inputs["metadata"]["namespace"] == "kube-system"
        assert {key: base64.b64decode(text).decode() for key, text in inputs["data"].items()} == {
            "token-id": token_id,
            "usage-bootstrap-authentication": "false",
        }
        assert "stringData" not in inputs

    def test_what_membership_opened_an_update_takes_back(self) -> None:
        annotations = one()["n1-token"].inputs["metadata"]["annotations"]
        assert annotations == {"pulumi.com/patchForce": "true"}

    @pytest.mark.parametrize(("name", "length"), [("n1-token-id", 6), ("n1-token-secret", 16)])
    def test_its_parts_have_the_form_of_a_token(self, name: str, length: int) -> None:
        inputs = one()[name].inputs
        assert inputs["length"] == length
        assert inputs["special"] is inputs["upper"] is False

    def test_another_generation_makes_a_new_one(self) -> None:
        graph = declare(configuration(1, **of_node("n1", generation=2)))
        for name in ("n1-token-id", "n1-token-secret"):
            assert one()[name].inputs["keepers"] == {"generation": "1"}
            assert graph[name].inputs["keepers"] == {"generation": "2"}


class TestKubeProxyCertificate:
    """Key, request and certificate, from either issuer."""

    @pytest.mark.parametrize("stack", [one, with_secrets])
    def test_the_key_is_rsa_and_the_request_names_kube_proxys_user(self, stack: Stack) -> None:
        graph = stack()
        key = graph["kube-proxy-key-1"].inputs
        assert (key["algorithm"], key["rsaBits"]) == ("RSA", 2048)
        request = opened(graph["kube-proxy-request-1"].inputs)
        assert request["subject"] == {"commonName": "system:kube-proxy"}

    def test_the_cluster_signs_it_through_a_local_command(self) -> None:
        assert one()["kube-proxy-certificate-1"].inputs["create"] == "exec ./membership/run sign"

    def test_the_cas_key_signs_it_for_client_authentication_alone(self) -> None:
        signed = with_secrets()["kube-proxy-certificate-1"]
        assert signed.type == "tls:index/locallySignedCert:LocallySignedCert"
        inputs = opened(signed.inputs)
        assert inputs["validityPeriodHours"] == 8760
        assert set(inputs["allowedUses"]) == {
            "client_auth",
            "digital_signature",
            "key_encipherment",
        }
        assert inputs["caCertPem"] == configuration(1)["caCertificate"]

    def test_ecdsa_and_another_epoch_can_be_chosen(self) -> None:
        chosen = {"kubeProxyCertificate": {"algorithm": "ECDSA", "epoch": 7}}
        graph = declare(configuration(1, **chosen))
        key = graph["kube-proxy-key-7"].inputs
        assert (key["algorithm"], key["ecdsaCurve"], key.get("rsaBits")) == ("ECDSA", "P256", None)
        assert "kube-proxy-certificate-7" in graph.resources

    @pytest.mark.parametrize("issuer", ["cluster", "ca"])
    def test_its_names_are_in_the_request_and_told_to_who_signs(self, issuer: str) -> None:
        subject = {
            "country": "CN",
            "province": "ShangHai",
            "locality": "ShangHai",
            "organization": "k8s",
            "organizationalUnit": "paas",
        }
        chosen = {"kubeProxyCertificate": {"issuer": issuer, "subject": subject}}
        graph = declare(configuration(1, **chosen), SECRETS)
        request = opened(graph["kube-proxy-request-1"].inputs)
        assert request["subject"] == {"commonName": "system:kube-proxy", **subject}
        if issuer == "cluster":
            stdin = json.loads(opened(graph["kube-proxy-certificate-1"].inputs)["stdin"])
            assert sorted(stdin["names"]) == sorted(
                ["C=CN", "ST=ShangHai", "L=ShangHai", "O=k8s", "OU=paas"]
            )
        assert graph.outputs["kubeProxyCertificateExpires"].endswith("Z")
        assert "kubeProxyCertificateExpires" not in graph.secret_outputs

    def test_its_expiry_is_an_output(self) -> None:
        assert one().outputs["kubeProxyCertificateExpires"].endswith("Z")


class TestGpu:
    """The label and the RuntimeClass of nodes with a GPU."""

    LABEL = "kube-nodes/gpu=nvidia"

    def test_a_pool_with_gpus_has_one_runtime_class_and_labels_only_its_own_nodes(self) -> None:
        with_gpu = of_node("n1", options={"gpu": "nvidia"})
        graph = declare(configuration(1, 2, **with_gpu))
        inputs = graph["gpu-runtime-class"].inputs
        assert graph["gpu-runtime-class"].type == "kubernetes:node.k8s.io/v1:RuntimeClass"
        assert (inputs["metadata"]["name"], inputs["handler"]) == ("nvidia", "nvidia")
        assert inputs["scheduling"] == {"nodeSelector": {"kube-nodes/gpu": "nvidia"}}
        labels = [
            graph[f"{node}-membership"].inputs["environment"]["KUBE_NODES_LABELS"].splitlines()
            for node in ("n1", "n2")
        ]
        assert [self.LABEL in each for each in labels] == [True, False]

    def test_without_a_gpu_there_is_none(self) -> None:
        assert not [each for each in two().resources if "gpu" in each]

    def test_its_name_can_be_another_or_none(self) -> None:
        gpu = {"options": {"gpu": "nvidia"}}
        named = declare(configuration(1, 2, gpuRuntimeClass="ours", **gpu))
        assert named["gpu-runtime-class"].inputs["metadata"]["name"] == "ours"
        none = declare(configuration(1, gpuRuntimeClass="", **gpu))
        assert not [each for each in none.resources if "gpu" in each]
        labels = none["n1-membership"].inputs["environment"]["KUBE_NODES_LABELS"]
        assert self.LABEL in labels.splitlines()

    @pytest.mark.parametrize(
        "options",
        [
            {"role": "proxy-only"},
            {"kubernetesVersion": "1.23.17", "docker": {}, "proxyMode": "iptables"},
        ],
        ids=["no kubelet", "Docker's shim knows no RuntimeClass"],
    )
    def test_a_node_that_no_pod_could_be_sent_to_by_it_has_neither(
        self, options: dict[str, Any]
    ) -> None:
        values = configuration(1, binaries=None, options={"gpu": "nvidia", **options})
        graph = declare({key: value for key, value in values.items() if value is not None})
        assert not [each for each in graph.resources if "gpu" in each]


class TestServiceCheck:
    """What is curled from each node."""

    def test_without_an_image_it_is_the_clusters_own_service(self) -> None:
        assert one().children("ServiceCheck service-check") == set()
        assert "\nurl=https://10.96.0.1/readyz\n" in one()["n1-service-check"].inputs["stdin"]

    def test_with_an_image_a_web_server_runs_on_every_node_behind_a_service(self) -> None:
        graph = with_secrets()
        assert graph.children("ServiceCheck service-check") == {
            "service-check-namespace",
            "service-check-daemonset",
            "service-check-service",
        }
        pods = graph["service-check-daemonset"].inputs["spec"]
        (container,) = pods["template"]["spec"]["containers"]
        assert container["image"] == "registry.example/web:1"
        # Also where taints keep everything else away.
        assert pods["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]
        service = graph["service-check-service"].inputs["spec"]
        assert service["selector"] == pods["selector"]["matchLabels"]
        assert service["ports"][0]["targetPort"] == container["ports"][0]["containerPort"] == 8080
        assert "\nurl=http://10.96.0.50/\n" in graph["n1-service-check"].inputs["stdin"]

    def test_nothing_waits_for_its_pods_which_need_a_node_first(self) -> None:
        for name in ("service-check-daemonset", "service-check-service"):
            annotations = with_secrets()[name].inputs["metadata"]["annotations"]
            assert annotations["pulumi.com/skipAwait"] == "true"


def test_the_outputs_that_other_stacks_read_are_those_of_the_document() -> None:
    text = (CHECKOUT / "docs" / "stacks.md").read_text(encoding="utf-8")
    table = text.partition("## Outputs")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([A-Za-z]+)`", table, re.M))
    static = declare(configuration(1, options={"tokenMode": "static"}))
    assert told == two().outputs.keys() | static.outputs.keys()
    node = two().outputs["nodes"]["n1"]
    assert set(re.findall(r"`\.([A-Za-z]+)`", table)) == {*node, *two().outputs["cluster"]}


def test_which_cluster_it_is_is_an_output() -> None:
    values = configuration(1)
    assert one().outputs["cluster"] == {
        "name": "kubernetes",
        "server": values["server"],
        "uid": values["clusterUid"],
    }


def test_the_outputs_tell_of_every_node() -> None:
    nodes: dict[str, Any] = proxy_only().outputs["nodes"]
    assert list(nodes) == ["n1", "n2"]
    for name, node in nodes.items():
        assert node["name"] == name
        assert node["pool"] == "workers"
        assert node["address"] == f"192.0.2.{name[1:]}"
        assert node["version"] == "v1.37.2"
        assert len(node["digest"]) == 64
        assert node["serviceAnswer"] == "an answer"
