"""What the tests of pull requests share: one stack, whose nodes have joined."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pull_requests.stack import NodesStack, nodes_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The stack as it is before every pull request; skips where the tools are not built."""
    # Its certificate expires soon, which each preview warns of.
    certificate = {"issuer": "ca", "validityHours": 240}
    with nodes_stack(tmp_path_factory.mktemp("stack"), kubeProxyCertificate=certificate) as made:
        yield made
