"""A control plane that knows bootstrap tokens and signs certificates; a way to run the verbs."""

from __future__ import annotations

import io
import itertools
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kube_nodes.membership.__main__ import main
from kube_nodes.model.requests import (
    TOKEN_GROUP,
    Cluster,
    DeclaredNode,
    Drain,
    JoinRequest,
    PrepareRequest,
    Token,
)
from lab.tools.cache import Cache, default_cache_root
from lab.tools.detect import find_in_cache
from lab.tools.pins import KUBERNETES_DEFAULT, catalogue
from tests.api.kubelet import Kubelet
from tests.plugins.control_plane import ControlPlane, run_control_plane

if TYPE_CHECKING:
    from tests.api.attack import Attack

_numbers = itertools.count(1)

STATIC_TOKEN = "0123456789abcdef" * 2


@dataclass(frozen=True)
class Result:
    """What a verb did."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Machine:
    """A declared node of its own, with its requests and its kubelet."""

    plane: ControlPlane
    cluster: Cluster
    node: DeclaredNode
    token: Token
    kubelet: Kubelet

    @property
    def path(self) -> str:
        """Path of its Node."""
        return f"/api/v1/nodes/{self.node.name}"

    @property
    def secret_path(self) -> str:
        """Path of its token's Secret."""
        return f"/api/v1/namespaces/kube-system/secrets/bootstrap-token-{self.token.id}"

    @property
    def bearer(self) -> str:
        """The token as the kubelet sends it."""
        return f"{self.token.id}.{self.token.secret}"

    def prepare(self, **fields: Any) -> PrepareRequest:
        """Make the request of `prepare` and `forget`."""
        known = {"drain": Drain(timeout_seconds=5), "node": self.node, **fields}
        return PrepareRequest(cluster=self.cluster, token=self.token, **known)

    def join(self, **fields: Any) -> JoinRequest:
        """Make the request of `join` and `leave`."""
        known: dict[str, Any] = {"drain": Drain(timeout_seconds=5), "node": self.node}
        known["timeout_seconds"] = 20
        return JoinRequest(cluster=self.cluster, token=self.token, **(known | fields))

    def data(self) -> dict[str, str]:
        """Return the data of its token's Secret."""
        data: dict[str, str] = self.plane.get(self.secret_path)["data"]
        return data

    def annotations(self) -> dict[str, str]:
        """Return the annotations of its Node."""
        return dict(self.plane.get(self.path)["metadata"].get("annotations") or {})


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One control plane for all tests: each has a node of its own."""
    with run_cluster(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@contextmanager
def run_cluster(directory: Path) -> Iterator[ControlPlane]:
    """Start a control plane with our bindings, and those of the static token."""
    flags = {
        "enable-bootstrap-token-auth": "true",
        "enable-admission-plugins": "NodeRestriction",
        # Without the controllers of service accounts, no pod would be let in.
        "disable-admission-plugins": "ServiceAccount",
    }
    line = f'{STATIC_TOKEN},kubelet-bootstrap,10001,"system:bootstrappers"\n'
    with run_control_plane(directory, flags, line) as running, _controller_manager(running):
        role = "system:node-bootstrapper"
        _bind(running, "bootstrap", role, "Group", TOKEN_GROUP)
        _bind(running, "static", role, "User", "kubelet-bootstrap")
        renewal = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
        _bind(running, "renewal", renewal, "Group", "system:nodes")
        yield running


@pytest.fixture(scope="session")
def cluster_under_attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """Start another control plane, for strangers with credentials."""
    from tests.api.attack import give_identities, open_tokens, run_attack

    with run_attack(tmp_path_factory.mktemp("attack")) as running:
        with pytest.MonkeyPatch.context() as patch:
            use_kubeconfig(patch, running.plane)
            open_tokens()
            give_identities(running)
        yield running


@pytest.fixture
def attack(cluster_under_attack: Attack, monkeypatch: pytest.MonkeyPatch) -> Attack:
    """The cluster with all tokens open, as a stranger would choose the moment, and no request."""
    from tests.api.attack import open_tokens

    use_kubeconfig(monkeypatch, cluster_under_attack.plane)
    open_tokens()
    cluster_under_attack.clear()
    return cluster_under_attack


@pytest.fixture
def cluster(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster as the operator's kubeconfig reaches it."""
    use_kubeconfig(monkeypatch, plane)
    uid = plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    return Cluster(uid=uid)


def use_kubeconfig(monkeypatch: pytest.MonkeyPatch, plane: ControlPlane) -> None:
    """Make it the operator's kubeconfig."""
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    # Read once when the client is imported, which other tests may have done before.
    location = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(location, str(plane.kubeconfig))


@pytest.fixture
def machine(plane: ControlPlane, cluster: Cluster) -> Machine:
    """A node that nobody has seen yet; its token's Secret is closed, as Pulumi declares it."""
    return make_machine(plane, cluster)


def make_machine(plane: ControlPlane, cluster: Cluster) -> Machine:
    """Declare one more node."""
    number = next(_numbers)
    name, address = f"n{number}", f"10.0.0.{number}"
    token = Token(id=f"abc{number:03}", secret="0123456789abcdef")
    node = DeclaredNode(
        id=f"node-{number}",
        name=name,
        generation=1,
        addresses=(address,),
        version="v1.37.2",
        token_id=token.id,
    )
    machine = Machine(plane, cluster, node, token, Kubelet(plane, name, address=address))
    declare_closed(machine)
    return machine


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Run a verb as the launcher does, in this process."""

    def run_verb(verb: str, request: Any, labels: str = "", taints: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(request.to_json()))
        monkeypatch.setenv("KUBE_NODES_LABELS", labels)
        monkeypatch.setenv("KUBE_NODES_TAINTS", taints)
        status = main([verb])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run_verb


def declare_closed(machine: Machine) -> None:
    """Do what Pulumi does for a token: apply its Secret without secret and expiration."""
    name = machine.secret_path.rpartition("/")[2]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": machine.token.id,
            "usage-bootstrap-authentication": "false",
        },
    }
    machine.plane.apply(machine.secret_path, secret, "pulumi")


def _bind(plane: ControlPlane, name: str, role: str, kind: str, subject: str) -> None:
    """Bind a role to a subject, as components/cluster_rbac.py declares it."""
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"kube-nodes-{name}"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": kind, "name": subject}],
    }
    plane.apply(f"/apis/{group}/v1/clusterrolebindings/kube-nodes-{name}", binding)


class _controller_manager:  # noqa: N801 (used as a `with` block, like a function)
    """kube-controller-manager with what the join needs of it."""

    def __init__(self, plane: ControlPlane) -> None:
        found = find_in_cache(
            catalogue(KUBERNETES_DEFAULT)["kube-controller-manager"], Cache(default_cache_root())
        )
        if found is None:
            pytest.skip("kube-controller-manager is not built; run `python -m lab tools`.")
        directory: Path = plane.directory
        self._log = (directory / "kube-controller-manager.log").open("wb")
        self._process = subprocess.Popen(
            [
                found,
                f"--kubeconfig={plane.kubeconfig}",
                f"--cluster-signing-cert-file={directory / 'ca.crt'}",
                f"--cluster-signing-key-file={directory / 'ca.key'}",
                # No token cleaner, as in most clusters: an expired token stays until we close it.
                "--controllers=certificatesigningrequest-signing-controller"
                ",certificatesigningrequest-approving-controller",
                "--leader-elect=false",
                "--secure-port=0",
            ],
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def in_background(step: Callable[[], object]) -> threading.Thread:
    """Run a step beside the test; it ends with the test's process at the latest."""
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def member(machine: Machine, run: Callable[..., Result]) -> Machine:
    """A node that has joined."""
    assert run("prepare", machine.prepare()).status == 0
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    result = run("join", machine.join())
    kubelet.join()
    assert result.status == 0, result.err
    return machine
