"""Where kubelet and kube-proxy come from, and what they must be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from kube_nodes.model.declaration import Declaration, show
from kube_nodes.model.faults import Fault
from kube_nodes.model.values import check_download, check_project_file, check_sha256, check_sha512
from kube_nodes.model.versions import KubernetesVersion

SHA256_DIGITS = 64
_SCHEME = re.compile(r"https?://[^/]+")


def _version_key(value: str) -> str:
    if value.startswith("v"):
        raise ValueError(f"has a v before the number; write {value[1:]}")
    KubernetesVersion.parse(value)
    return value


VersionKey = Annotated[str, AfterValidator(_version_key)]


class Download(Declaration):
    """One binary: where it is, and what it must be."""

    url: Annotated[str, AfterValidator(check_download)] | None = Field(
        None, description="Where hosts fetch it; this or `file`."
    )
    file: Annotated[str, AfterValidator(check_project_file)] | None = Field(
        None,
        description="Where it is on the operator's machine, in the project's folder; it is sent "
        "over SSH.",
    )
    sha256: Annotated[str, AfterValidator(check_sha256)] | None = Field(
        None, description="SHA-256 of the file; this or `sha512`."
    )
    sha512: Annotated[str, AfterValidator(check_sha512)] | None = Field(
        None, description="SHA-512 of the file."
    )

    @property
    def digest(self) -> str:
        """The one sum that is given; its length tells which."""
        return self.sha512 or self.sha256 or ""

    def urls(self, mirrors: Sequence[str]) -> tuple[str, ...]:
        """Name where hosts fetch it: each mirror with the URL's own path, then the URL itself."""
        if self.url is None:
            return ()
        place = _SCHEME.sub("", self.url, count=1)
        return tuple(dict.fromkeys([*(mirror + place for mirror in mirrors), self.url]))


class Binaries(Declaration):
    """The binaries of one version of Kubernetes."""

    kubelet: Download = Field(description="The kubelet.")
    kube_proxy: Download = Field(description="kube-proxy.")


def find_binary_faults(
    binaries: Mapping[str, Binaries], wanted: Sequence[KubernetesVersion]
) -> Iterator[Fault]:
    """Find what no single value can be checked against; with no binaries they are the hosts' own.

    Args:
        binaries: by version.
        wanted: the versions that nodes declare.
    """
    names = {str(version).removeprefix("v") for version in wanted}
    for name in sorted(names - binaries.keys() if binaries else ()):
        yield ("binaries",), f'has no "{name}", which nodes declare; add its downloads'
    for name, both in binaries.items():
        for key, one in (("kubelet", both.kubelet), ("kubeProxy", both.kube_proxy)):
            for rule in _choices(one):
                yield ("binaries", name, key), rule
        same = both.kube_proxy.digest
        if same and same == both.kubelet.digest:
            key = "sha512" if both.kube_proxy.sha512 else "sha256"
            place = ("binaries", name, "kubeProxy", key)
            yield place, f"{show(same)} is the kubelet's; give kube-proxy's"
        for key in ("url", "file"):
            where = getattr(both.kube_proxy, key)
            if where and where == getattr(both.kubelet, key):
                place = ("binaries", name, "kubeProxy", key)
                yield place, f"{show(where)} is the kubelet's; give kube-proxy's"


def _choices(one: Download) -> Iterator[str]:
    if one.url is None and one.file is None:
        yield "has neither url nor file; give the one or the other"
    if one.url is not None and one.file is not None:
        yield "has url and file; keep one of them"
    if not one.digest:
        yield "has neither sha256 nor sha512; give one of them"
    if one.sha256 and one.sha512:
        yield "has sha256 and sha512; keep one of them"
