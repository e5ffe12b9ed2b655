"""Texts that look like secrets: the last guard where text is shown, not a way to keep secrets.

What is secret is marked so for Pulumi where it is made. This finds what was put by mistake into a
text that everybody may read, as far as its shape tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

_SHAPES = {
    "private key": re.compile(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
        re.DOTALL,
    ),
    # Six and sixteen characters are also the length of ordinary words: nothing may adjoin them.
    "bootstrap token": re.compile(r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.-])"),
    "JSON web token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
    "bearer token": re.compile(r"(?i)\bbearer +(?!\$)[\w.~+/-]{8,}=*"),
    # As kubeconfigs have them, alone on their lines.
    "credential": re.compile(
        r"^(?P<kept>[ \t-]*(?:token|password|client-key-data): *)(?![{$])\S{6,}$", re.MULTILINE
    ),
    "password in a URL": re.compile(r"(?<=://)[^/\s:@'\"$]+:[^/\s@'\"$]+(?=@)"),
}
"""By what is found. No shape needs more than the text itself: nothing is looked up or decoded."""


def find_secrets(text: str) -> Iterator[str]:
    """Name what of a text looks like a secret, such as `private key`; never its value."""
    for name, shape in _SHAPES.items():
        if shape.search(text):
            yield name


def mask_secrets(text: str) -> str:
    """Return the text with `[masked: …]` for whatever looks like a secret."""
    for name, shape in _SHAPES.items():
        text = shape.sub(partial(_mask, name), text)
    return text


def _mask(name: str, found: re.Match[str]) -> str:
    """Leave what only says which field it is."""
    return f"{found.groupdict().get('kept', '')}[masked: {name}]"
