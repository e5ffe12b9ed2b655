"""Container images without a registry: OCI archives with one static busybox in them.

Two images of the same layer: the pause image that every pod's sandbox runs, and a web server that
tells which pod answered. The archive is the same byte for byte whenever it is made.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from typing import Any

PAUSE = "localhost/kube-nodes/pause:1"
WEB = "localhost/kube-nodes/web:1"
WEB_PORT = 8080

_APPLETS = (
    *("cat", "echo", "env", "hostname", "httpd", "ls", "mkdir", "nc", "ps", "sh", "sleep", "wget"),
)
# A first process must handle SIGTERM itself, or every stop takes the whole grace period.
_WEB_SCRIPT = f"""\
mkdir -p /tmp/www
echo "pod=$(hostname) node=${{NODE_NAME:-unknown}}" > /tmp/www/index.html
trap 'exit 0' TERM INT
httpd -f -p {WEB_PORT} -h /tmp/www &
wait
"""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


def commands() -> dict[str, list[str]]:
    """Return each image with the command that it runs."""
    return {
        PAUSE: ["/bin/sleep", "2147483647"],
        WEB: ["/bin/sh", "-c", _WEB_SCRIPT],
    }


def archive(busybox: bytes, machine: str | None = None) -> bytes:
    """Return an OCI image layout, as a tar file for `ctr images import`, that holds both images.

    Args:
        busybox: a statically linked busybox.
        machine: its architecture as uname says it; this machine's when None.
    """
    architecture = _ARCHITECTURES[machine or platform.machine()]
    layer = _layer(busybox)
    blobs = {_digest(layer): layer}
    manifests = []
    for name, command in commands().items():
        config = _json(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": command, "Env": ["PATH=/bin"], "WorkingDir": "/"},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": _descriptor(f"{_OCI}.config.v1+json", config),
                "layers": [_descriptor(f"{_OCI}.layer.v1.tar", layer)],
            }
        )
        blobs |= {_digest(config): config, _digest(manifest): manifest}
        annotations = {"io.containerd.image.name": name}
        manifests.append(
            {**_descriptor(f"{_OCI}.manifest.v1+json", manifest), "annotations": annotations}
        )
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": manifests}),
        **{f"blobs/{digest.replace(':', '/')}": blob for digest, blob in sorted(blobs.items())},
    }
    return _tar([(_file(name, len(data)), data) for name, data in files.items()])


def _layer(busybox: bytes) -> bytes:
    entries = [
        (_directory("bin", 0o755), b""),
        (_directory("tmp", 0o1777), b""),
        (_file("bin/busybox", len(busybox), 0o755), busybox),
    ]
    for applet in _APPLETS:
        link = _file(f"bin/{applet}", 0, 0o777)
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        entries.append((link, b""))
    return _tar(entries)


def _file(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info


def _directory(name: str, mode: int) -> tarfile.TarInfo:
    info = _file(name, 0, mode)
    info.type = tarfile.DIRTYPE
    return info


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
