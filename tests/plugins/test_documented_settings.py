"""The shell of the documents that sets a configuration, run as it stands by the real CLI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from kube_nodes.fleet.stack import read_stack_file
from kube_nodes.settings import ConfigurationError
from lab.tools.cache import Cache, default_cache_root
from lab.tools.detect import find_in_cache
from lab.tools.pins import KUBERNETES_DEFAULT, catalogue
from tests.components.stacks import node
from tests.configurations import materials, merge
from tests.plugins.control_plane import ControlPlane
from tests.plugins.engine import CHECKOUT, pulumi_directory
from tests.pull_requests.changes import configuration

_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# Runs of other tests.
_PRELUDE = """
make() { :; }
pulumi() { case "$1" in up | preview) ;; *) command pulumi "$@" ;; esac; }
"""


def _blocks(document: str) -> list[str]:
    """Give the blocks of shell of a document, without the indentation of a list."""
    text = (CHECKOUT / document).read_text(encoding="utf-8")
    found = _BLOCK.findall(text)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


@dataclass(frozen=True)
class Folder:
    """A folder with the project's Pulumi.yaml, and a home of the CLI's own."""

    path: Path

    @property
    def stack_file(self) -> Path:
        return self.path / "Pulumi.prod.yaml"

    def sh(self, text: str, answers: str = "") -> None:
        """Run shell text as somebody who reads the document would."""
        done = subprocess.run(
            ["sh", "-euc", _PRELUDE + text],
            cwd=self.path,
            env={
                **os.environ,
                "PATH": os.pathsep.join([str(pulumi_directory()), os.environ["PATH"]]),
                "HOME": str(self.path),
                "PULUMI_HOME": str(self.path / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
            input=answers,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A checkout as far as the CLI needs one."""
    shutil.copy(CHECKOUT / "Pulumi.yaml", tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "passphrase").write_text("only for this test\n")
    return Folder(tmp_path)


@pytest.fixture
def stack(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The same with a stack that is configured."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{folder.path}/state")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(folder.path / "passphrase"))
    folder.sh("pulumi stack init prod")
    values = merge(
        configuration(),
        {"kubeProxyCertificate": {"issuer": "cluster"}, "staticToken": {"hosts": {"cp1": node(9)}}},
    )
    document = yaml.safe_load(folder.stack_file.read_text())
    document["config"] = {f"kube-nodes:{key}": value for key, value in values.items()}
    folder.stack_file.write_text(yaml.safe_dump(document))
    for name in ("old", "new"):
        (folder.path / f"{name}-ca.crt").write_text(values["caCertificate"])
    (folder.path / ".ssh").mkdir()
    (folder.path / ".ssh" / "new").write_text(materials()["ssh_key"])
    return folder


_SETTINGS = [
    block
    for document in ("docs/operations.md", "docs/static-token.md")
    for block in _blocks(document)
    if "pulumi config set" in block
]


@pytest.mark.parametrize("block", _SETTINGS, ids=lambda block: block.splitlines()[0][:70])
def test_each_setting_of_a_document_is_taken(stack: Folder, block: str) -> None:
    before = stack.stack_file.read_text()
    stack.sh(block.replace("ssh-ed25519 AAAA…", node(9)["hostKey"]))
    assert stack.stack_file.read_text() != before
    assert read_stack_file(stack.stack_file).nodes


def test_the_blocks_of_getting_started_make_a_stack(
    folder: Folder, control_plane: ControlPlane
) -> None:
    kubectl = find_in_cache(
        catalogue(KUBERNETES_DEFAULT)["kubectl"], Cache(default_cache_root())
    ) or shutil.which("kubectl")
    if not kubectl:
        pytest.skip("kubectl is not built yet; run `python -m lab.tools --only kubectl`.")
    for name in ("kubelet", "kube-proxy"):
        (folder.path / name).write_text(name)
    first, cluster, programs, hosts, *_ = _blocks("docs/getting-started.md")
    text = "\n".join((first, cluster, programs, hosts))
    for written, here in {
        "/path/of/a/private/folder": f"{folder.path}/state",
        "PASSPHRASE_FILE=…": f"PASSPHRASE_FILE={folder.path}/passphrase",
        "KUBECONFIG=…": f"KUBECONFIG={control_plane.kubeconfig}",
    }.items():
        assert written in text
        text = text.replace(written, here)
    assert "…" not in re.sub(r"#.*", "", text)
    folder.sh(f'PATH="{Path(kubectl).parent}:$PATH"\n{text}')

    with pytest.raises(ConfigurationError) as found:
        read_stack_file(folder.stack_file)
    missing = "kube-nodes:pools.workers.nodes.w1.hostKey: is missing; set it"
    assert found.value.faults == [missing], "which make host-keys sets"
    config = yaml.safe_load(folder.stack_file.read_text())["config"]
    uid = control_plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    assert config["kube-nodes:clusterUid"] == uid
    ca_certificate = (control_plane.directory / "ca.crt").read_text()
    assert config["kube-nodes:caCertificate"].strip() == ca_certificate.strip()
    kube_proxy = config["kube-nodes:binaries"]["1.37.2"]["kubeProxy"]
    assert kube_proxy["url"] == "https://files.example/1.37.2/kube-proxy"


def test_a_stack_can_be_given_another_passphrase(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{folder.path}/state")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(folder.path / "passphrase"))
    (block,) = _blocks("docs/security.md")
    begin, change = (line for line in block.splitlines() if "passphrase  " in line)
    folder.sh(f"{begin}\npulumi config set --secret caKey kept")
    before = folder.stack_file.read_text()
    folder.sh(change, answers="another\nanother\n")
    assert folder.stack_file.read_text() != before
    (folder.path / "passphrase").write_text("another\n")
    folder.sh('[ "$(pulumi config get caKey)" = kept ]')
