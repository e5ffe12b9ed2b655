"""What the lab writes: certificates, kubeconfigs, images, the hosts' files."""

from __future__ import annotations

import configparser
import io
import json
import subprocess
import sys
import tarfile
import tomllib
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import images, ssh
from lab.control_plane import make_files
from lab.host_files import File, cni_config, host_files
from lab.pod_network import NodeNetwork, node_network
from lab.processes import _ENTER
from lab.rootfs import command
from lab.spec import Host, LabSpec


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_control_planes_certificates_are_signed_by_the_right_authority(tmp_path: Path) -> None:
    make_files(LabSpec(directory=tmp_path))
    pki = tmp_path / "pki"

    for name in ("kube-apiserver", "kubelet-client", "admin", "kube-scheduler"):
        read(pki / f"{name}.crt").verify_directly_issued_by(read(pki / "ca.crt"))
    for name in ("etcd", "etcd-client"):
        read(pki / f"{name}.crt").verify_directly_issued_by(read(pki / "etcd-ca.crt"))


def test_the_api_servers_certificate_holds_every_address_it_is_reached_by(tmp_path: Path) -> None:
    make_files(LabSpec(directory=tmp_path, subnet="10.98.5.0/24"))
    certificate = read(tmp_path / "pki" / "kube-apiserver.crt")

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["10.98.5.1", "10.96.0.1"]
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages


def test_certificates_and_keys_are_made_once_and_keys_are_for_their_owner_only(
    tmp_path: Path,
) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    make_files(LabSpec(directory=tmp_path))
    first = content()
    make_files(LabSpec(directory=tmp_path))

    assert content() == first
    private = [path for path, data in first.items() if b"PRIVATE KEY" in data]
    assert len(private) == 10  # two authorities', seven certificates' and the service accounts'
    secret = [*private, tmp_path / "kubeconfig"]
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_the_operators_kubeconfig_is_complete_in_itself(tmp_path: Path) -> None:
    make_files(LabSpec(directory=tmp_path))
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())

    assert config["clusters"][0]["cluster"]["server"] == "https://10.98.0.1:6443"
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    subject = read(tmp_path / "pki" / "admin.crt").subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"


def test_an_image_archive_is_the_same_every_time_and_its_digests_are_true() -> None:
    archive = images.archive(b"busybox", "x86_64")
    assert archive == images.archive(b"busybox", "x86_64")

    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name: _content(tar, member) for member in tar}
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(name == f"blobs/sha256/{sha256(data).hexdigest()}" for name, data in blobs.items())
    index = json.loads(files["index.json"])
    named = {
        entry["annotations"]["io.containerd.image.name"]: entry["digest"].removeprefix("sha256:")
        for entry in index["manifests"]
    }
    assert set(named) == {images.PAUSE, images.WEB}
    manifest = json.loads(blobs[f"blobs/sha256/{named[images.WEB]}"])
    for part in (manifest["config"], *manifest["layers"]):
        blob = blobs[f"blobs/sha256/{part['digest'].removeprefix('sha256:')}"]
        assert part["size"] == len(blob)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def files_of(host: str = "n1") -> dict[str, File]:
    spec = LabSpec(directory=Path("/labs/one")).with_hosts(("n1", "n2"))
    chosen = Host(name=host, address=spec.host(host).address, host_key="ssh-ed25519 AAAA")
    listed = host_files(
        spec, chosen, machine_id="0" * 32, private_key="PRIVATE", operator_key="ssh-ed25519 BBBB"
    )
    return {file.path: file for file in listed}


def test_a_host_has_its_own_name_and_address_and_the_bridge_as_gateway() -> None:
    files = files_of("n2")

    network = configparser.ConfigParser()
    network.read_string(files["etc/systemd/network/10-host0.network"].content)
    assert network["Network"]["Address"] == "10.98.0.12/24"
    assert network["Network"]["Gateway"] == "10.98.0.1"
    assert files["etc/hostname"].content == "n2\n"


def test_the_runtime_uses_the_lab_images_and_what_this_machine_allows() -> None:
    config = tomllib.loads(files_of()["etc/containerd/config.toml"].content)

    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == images.PAUSE
    assert cri["restrict_oom_score_adj"] is True
    assert cri["cni"]["bin_dir"] == "/usr/lib/cni"


def test_only_root_reads_a_hosts_private_key() -> None:
    private = [file for file in files_of().values() if "PRIVATE" in file.content]

    assert [(file.path, file.mode) for file in private] == [("etc/ssh/ssh_host_ed25519_key", 0o600)]


@pytest.mark.parametrize(
    "script",
    [
        f"#!/bin/sh\n{_ENTER}",
        f"#!/bin/sh\n{images.commands()[images.WEB][-1]}",
        files_of()["usr/local/sbin/lab-setup"].content,
    ],
    ids=["enter", "web", "setup"],
)
def test_the_shell_that_the_lab_writes_passes_shellcheck(script: str) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout == ""
    assert checked.returncode == 0


def test_the_pod_network_of_a_node_is_its_own_range() -> None:
    config = json.loads(cni_config("10.200.3.0/24"))

    assert config["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.200.3.0/24"}]]


def test_a_node_has_a_network_once_it_has_an_address_and_a_range() -> None:
    def node(address: str | None, pod_cidr: str | None) -> SimpleNamespace:
        hostname = SimpleNamespace(type="Hostname", address="n1")
        internal = [SimpleNamespace(type="InternalIP", address=address)] if address else []
        status = SimpleNamespace(addresses=[hostname, *internal])
        return SimpleNamespace(spec=SimpleNamespace(pod_cidr=pod_cidr), status=status)

    assert node_network(node(None, "10.200.0.0/24")) is None
    assert node_network(node("10.98.0.11", None)) is None
    complete = NodeNetwork("10.98.0.11", "10.200.0.0/24")
    assert node_network(node("10.98.0.11", "10.200.0.0/24")) == complete


def test_a_key_pair_is_one_key_and_does_not_show_its_private_half() -> None:
    pair = ssh.new_key_pair()

    key = load_ssh_private_key(pair.private.encode(), None)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert pair.public == public.decode()
    assert "PRIVATE" not in repr(pair)


def test_an_ssh_command_trusts_the_recorded_host_key_alone() -> None:
    spec = LabSpec(directory=Path("/labs/one")).with_hosts(("n1",))

    argv = ssh.command(spec, spec.host("n1"))

    assert argv[-1] == "root@10.98.0.11"
    assert {"StrictHostKeyChecking=yes", "UserKnownHostsFile=/labs/one/ssh/known_hosts"} <= set(
        argv
    )


def test_the_root_directory_has_no_host_key_of_its_own() -> None:
    assert any("rm -f" in part and "ssh_host_" in part for part in command(Path("/target"), None))
