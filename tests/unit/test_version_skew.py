"""Version skew between kubelet and API server."""

from __future__ import annotations

import pytest

from kube_nodes.model.version_skew import check_skew


@pytest.mark.parametrize(
    ("kubelet", "minor"),
    [("v1.37.2", 37), ("v1.36.3", 37), ("v1.34.0", 37), ("v1.25.0", 28), ("v1.24.9", 26)],
)
def test_a_supported_kubelet_is_accepted(kubelet: str, minor: int) -> None:
    check_skew(kubelet, minor)


@pytest.mark.parametrize(
    ("kubelet", "minor", "message"),
    [
        ("v1.37.2", 36, "newer than the API server (1.36)"),
        ("v1.33.9", 37, "more than 3 minors older"),
        ("v1.24.9", 27, "more than 2 minors older"),
    ],
)
def test_an_unsupported_kubelet_is_refused(kubelet: str, minor: int, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_skew(kubelet, minor)
    assert message in str(caught.value)
