"""Every version that the lab uses, in one place.

The sources of a tool are pinned a second time, module by module, by the go.mod and go.sum in
gomod/<folder>/: the go command verifies each download against that go.sum.
"""

import re
from dataclasses import dataclass
from pathlib import Path

GOMOD_ROOT = Path(__file__).parent / "gomod"

PULUMI_VERSION = "3.259.0"
LANGUAGE_HOST_VERSION = "3.78.0"
NODEJS_HOST_VERSION = "3.60.0"
ETCD_VERSION = "3.6.14"
GO_VERSION = "1.26.6"
"""The Go that is installed where none is, or only one older than a go.mod asks for."""

KUBERNETES_VERSIONS = ("1.37.2", "1.36.3", "1.35.4")
KUBERNETES_DEFAULT = KUBERNETES_VERSIONS[0]
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "kubeadm",
)
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"


@dataclass(frozen=True, kw_only=True)
class GoProgram:
    """One executable that `go build` makes."""

    name: str
    gomod: str
    """Folder under gomod/ whose go.mod and go.sum pin the sources."""
    module: str
    version: str
    """The module that go.mod must require, and its version, which is the program's."""
    package: str
    """Folder of the program inside the module, empty for the module's own."""
    variables: tuple[tuple[str, str], ...] = ()
    """String variables set at link time (the linker's -X): full name and value."""

    @property
    def import_path(self) -> str:
        """What `go build` is given."""
        return f"{self.module}/{self.package}".rstrip("/")


@dataclass(frozen=True, kw_only=True)
class ModuleFile:
    """One script that is taken from a module as it is, and made executable."""

    name: str
    gomod: str
    module: str
    path: str
    """Path inside the module; the file's name there is also its name here."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """What is published as one folder, bin/<name>-<version>/, all that it needs beside it."""

    name: str
    version: str
    programs: tuple[GoProgram, ...]
    files: tuple[ModuleFile, ...] = ()
    version_arguments: tuple[str, ...] | None = ("--version",)
    """None: it tells nobody its version, so that one on PATH will not do."""
    accepts_newer: int = 3
    """How many leading numbers of a version must be equal for one on PATH to do: 3 is this exact
    version, 2 the same minor or a later patch of it, 1 the same major or a later minor."""
    seconds: int
    """About how long a cold build takes on two cores, downloads included."""

    @property
    def source(self) -> str:
        """The folder under gomod/ that its main executable comes from."""
        return self.programs[0].gomod

    @property
    def executables(self) -> tuple[str, ...]:
        """The names of all files in the published folder."""
        return (*(part.name for part in self.programs), *(part.name for part in self.files))

    def accepts(self, found: str) -> bool:
        """Tell whether a `found` version on PATH may stand in for the pinned one.

        A suffix (1.37.2-vendor, 3.259.0-dev) is another program and never accepted.
        """
        if not re.fullmatch(r"\d+\.\d+\.\d+", found):
            return False
        have, want = _numbers(found), _numbers(self.version)
        return have[: self.accepts_newer] == want[: self.accepts_newer] and have >= want


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


PULUMI = Tool(
    name="pulumi",
    version=PULUMI_VERSION,
    programs=(
        GoProgram(
            name="pulumi",
            gomod="pulumi",
            module="github.com/pulumi/pulumi/pkg/v3",
            version=PULUMI_VERSION,
            package="cmd/pulumi",
            variables=((f"{_PULUMI_SDK}/go/common/version.Version", f"v{PULUMI_VERSION}"),),
        ),
        # Older than the CLI: from about 3.84 on it is a module of its own that no registry serves.
        # It works with this CLI but ignores Pulumi.yaml's virtualenv, so lab/env.py puts the
        # virtual environment first on PATH.
        GoProgram(
            name="pulumi-language-python",
            gomod="pulumi-language-python",
            module=_PULUMI_SDK,
            version=LANGUAGE_HOST_VERSION,
            package="python/cmd/pulumi-language-python",
        ),
    ),
    files=(
        ModuleFile(
            name="pulumi-language-python-exec",
            gomod="pulumi",
            module=_PULUMI_SDK,
            path="python/cmd/pulumi-language-python-exec",
        ),
        ModuleFile(
            name="pulumi-resource-pulumi-python",
            gomod="pulumi",
            module=_PULUMI_SDK,
            path="python/dist/pulumi-resource-pulumi-python",
        ),
    ),
    version_arguments=("version",),
    accepts_newer=1,
    seconds=180,
)

# For programs in TypeScript, which only tests have. A later one is a module that is not served.
NODEJS_HOST = Tool(
    name="pulumi-language-nodejs",
    version=NODEJS_HOST_VERSION,
    programs=(
        GoProgram(
            name="pulumi-language-nodejs",
            gomod="pulumi-language-nodejs",
            module=_PULUMI_SDK,
            version=NODEJS_HOST_VERSION,
            package="nodejs/cmd/pulumi-language-nodejs",
        ),
    ),
    version_arguments=None,
    seconds=60,
)

ETCD = Tool(
    name="etcd",
    version=ETCD_VERSION,
    programs=(
        GoProgram(
            name="etcd",
            gomod="etcd",
            module="go.etcd.io/etcd/server/v3",
            version=ETCD_VERSION,
            package="",
        ),
    ),
    accepts_newer=2,
    seconds=30,
)


def kubernetes_tool(name: str, version: str) -> Tool:
    """Describe one program of one Kubernetes release."""
    major, minor, _ = version.split(".")
    variables = {
        "gitVersion": f"v{version}",  # without it every component calls itself v0.0.0-master
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    return Tool(
        name=name,
        version=version,
        programs=(
            GoProgram(
                name=name,
                gomod=f"kubernetes-{version}",
                module="k8s.io/kubernetes",
                version=version,
                package=f"cmd/{name}",
                variables=tuple(
                    (f"k8s.io/component-base/version.{key}", value)
                    for key, value in variables.items()
                ),
            ),
        ),
        version_arguments={
            "kubectl": ("version", "--client"),
            "kubeadm": ("version", "--output=short"),
        }.get(name, ("--version",)),
        seconds=330,  # for all of one release together: they share nearly all packages
    )


def catalogue(kubernetes: str) -> dict[str, Tool]:
    """Return every tool that the lab knows, by name, with Kubernetes in one release."""
    tools = (
        PULUMI,
        NODEJS_HOST,
        ETCD,
        *(kubernetes_tool(name, kubernetes) for name in KUBERNETES_PROGRAMS),
    )
    return {tool.name: tool for tool in tools}
