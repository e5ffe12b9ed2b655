"""The policy pack under the real engine: a right program passes, a bad one stops before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.policy import install_pack
from tests.configurations import materials, merge
from tests.plugins.engine import CHECKOUT, Run
from tests.pull_requests.stack import NodesStack

# What somebody could add to the program, by the policy that stops it.
_ADDITIONS = {
    "host-keys": """
import pulumi_command as command
command.remote.Command("more", connection={"host": "192.0.2.1"}, create="true")
""",
    "open-secrets": f"""
import pulumi_command as command
command.local.Command("more", create="cat", stdin='''{materials()["key"]}''')
""",
    "closed-tokens": """
import pulumi_kubernetes as kubernetes
kubernetes.core.v1.Secret(
    "more",
    metadata={"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
    type="bootstrap.kubernetes.io/token",
    string_data={"token-id": "abcdef", "usage-bootstrap-authentication": "true"},
)
""",
    "auto-approval": """
import pulumi_kubernetes as kubernetes
kubernetes.rbac.v1.ClusterRoleBinding(
    "more",
    role_ref={
        "api_group": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    },
    subjects=[{"kind": "Group", "name": "system:bootstrappers"}],
)
""",
    "cluster-admins": """
import pulumi_kubernetes as kubernetes
kubernetes.rbac.v1.ClusterRoleBinding(
    "more",
    role_ref={
        "api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"
    },
    subjects=[{"kind": "User", "name": "jane"}],
)
""",
}


@contextmanager
def added(stack: NodesStack, text: str) -> Iterator[None]:
    """Add text to the program, and take it away again."""
    program = (stack.engine.program / "__main__.py").read_text()
    stack.engine.write(program + text)
    try:
        yield
    finally:
        stack.engine.write(program)


def preview(stack: NodesStack) -> Run:
    return stack.engine.preview(*pack(stack))


def pack(stack: NodesStack) -> tuple[str, str]:
    """Give the flag, with the pack as the lab's language host can run it."""
    return "--policy-pack", str(install_pack(stack.engine.home, CHECKOUT))


def test_the_program_as_it_is_passes(stack: NodesStack) -> None:
    run = preview(stack)
    assert run.ok, run.output
    assert "kube-nodes" in run.output.partition("Policies:")[2], run.output
    assert "violation" not in run.output


@pytest.mark.parametrize("policy", _ADDITIONS)
def test_what_somebody_adds_to_the_program_is_stopped(stack: NodesStack, policy: str) -> None:
    with added(stack, _ADDITIONS[policy]):
        run = preview(stack)
    assert not run.ok
    stops = [line.strip() for line in run.output.splitlines() if "[mandatory]" in line]
    assert len(stops) == 1, run.output
    assert policy in stops[0].split()
    assert "more: " in run.output
    assert materials()["key"].splitlines()[1] not in run.output


def test_an_up_is_stopped_too_and_makes_nothing(stack: NodesStack) -> None:
    with added(stack, _ADDITIONS["cluster-admins"]):
        run = stack.engine.up(*pack(stack))
    assert not run.ok
    assert "cluster-admins" in run.output
    assert "::more" not in stack.engine.state_text()


def test_a_wave_that_is_too_wide_and_unlike_versions_are_stopped(stack: NodesStack) -> None:
    wide = merge(stack.base, {"pools": {"workers": {"batch": "100%"}}})
    stack.configure(wide)
    try:
        run = preview(stack)
    finally:
        stack.configure(stack.base)
    assert not run.ok
    assert "workers: a wave of 2 nodes of 3" in run.output
