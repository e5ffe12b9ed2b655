"""The files that a backend of files holds, as text: states, their backups and histories."""

from __future__ import annotations

import gzip
from pathlib import Path


def read_plain(path: Path) -> bytes:
    """Return what a file holds, decompressed where its name says that it is compressed."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" and content else content
