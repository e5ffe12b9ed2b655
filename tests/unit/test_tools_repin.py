"""The start of a go.mod, from the go.mod of the module that is pinned."""

from lab.tools.pins import ETCD, GOMOD_ROOT, PULUMI, kubernetes_tool
from lab.tools.repin import programs_by_folder, render_go_mod

KUBERNETES = """\
module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require k8s.io/api v0.0.0

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/streaming => ./staging/src/k8s.io/streaming
)
"""
PULUMI_CLI = """\
module github.com/pulumi/pulumi/pkg/v3

go 1.25.11

replace (
\tgithub.com/pulumi/pulumi/sdk/v3 => ../sdk
\tgithub.com/atotto/clipboard => github.com/tgummerer/clipboard v0.0.0-1
\tgolang.org/x/text => golang.org/x/text v0.3.6
)
"""


def test_staging_folders_become_the_modules_of_that_release() -> None:
    (program,) = kubernetes_tool("kubelet", "1.37.2").programs

    assert render_go_mod("kubernetes-1.37.2", program, KUBERNETES) == (
        "module kube-nodes/lab/tools/kubernetes-1.37.2\n\n"
        "go 1.26.0\n\n"
        "godebug default=go1.26\n\n"
        "require k8s.io/kubernetes v1.37.2\n\n"
        "replace (\n"
        "\tk8s.io/api => k8s.io/api v0.37.2\n"
        "\tk8s.io/streaming => k8s.io/streaming v0.37.2\n"
        ")\n"
    )


def test_a_fork_is_kept_and_the_layout_of_a_repository_is_not() -> None:
    text = render_go_mod("pulumi", PULUMI.programs[0], PULUMI_CLI)

    assert "\tgithub.com/atotto/clipboard => github.com/tgummerer/clipboard v0.0.0-1\n" in text
    assert "../sdk" not in text
    assert "golang.org/x/text" not in text


def test_a_module_without_replacements_has_no_block_for_them() -> None:
    upstream = "module go.etcd.io/etcd/server/v3\n\ngo 1.25.0\n\nreplace a => ../a\n"

    assert "replace" not in render_go_mod("etcd", ETCD.programs[0], upstream)


def test_every_folder_of_pins_can_be_made_anew() -> None:
    assert set(programs_by_folder()) == {folder.name for folder in GOMOD_ROOT.iterdir()}
    assert len(programs_by_folder()["kubernetes-1.37.2"]) == 7
