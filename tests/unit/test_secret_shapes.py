"""Texts that look like secrets are found and masked, and ordinary ones are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_nodes.model.secret_shapes import find_secrets, mask_secrets
from tests.configurations import materials

_WEB_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlaGVyZQ"
_FOUND = {
    "private key": materials()["ca_key"],
    "private key, cut off": "-----BEGIN RSA PRIVATE KEY-----\nMIIsecret",
    "private key of SSH": materials()["ssh_key"],
    "bootstrap token": "--token abcdef.0123456789abcdef\n",
    "JSON web token": f"x: {_WEB_TOKEN}\n",
    "bearer token": "Authorization: Bearer 0123456789abcdef0123456789abcdef\n",
    "credential": "users:\n- user:\n    token: 0123456789abcdef0123\n",
    "credential, password": "    password: hunter2\n",
    "credential, key": "    client-key-data: TUlJc2VjcmV0\n",
    "password in a URL": "https://jane:hunter2@files.example/kubelet\n",
}
_SECRETS = ("MIIsecret", "0123456789abcdef", "hunter2", "TUlJc2VjcmV0", "c2lnbmF0dXJl")


@pytest.mark.parametrize("name", _FOUND)
def test_a_secret_is_named_and_masked(name: str) -> None:
    text = _FOUND[name]
    kind = name.partition(",")[0].removesuffix(" of SSH")
    assert kind in list(find_secrets(text))
    masked = mask_secrets(f"before\n{text}\nafter")
    assert f"[masked: {kind}]" in masked
    assert masked.startswith("before\n")
    assert not [secret for secret in _SECRETS if secret in masked]
    key = [line for line in text.splitlines() if len(line) > 40 and "KEY" in text]
    assert not [line for line in key if line in masked]


def test_text_around_a_secret_stays() -> None:
    text = f"first\n{materials()['ca_key']}last\n"
    assert mask_secrets(text) == "first\n[masked: private key]\nlast\n"


_ORDINARY = {
    "certificate": materials()["ca"],
    "public key": materials()["public_key"],
}


@pytest.mark.parametrize(
    "text",
    [
        *_ORDINARY,
        "/usr/lib/system.d/abcdefg.0123456789abcdef",
        "https://files.example/1.37.2/kubelet",
        "sha256 " + "ab" * 32,
        'header="Authorization: Bearer $token"',
        "token: {{ .token }}",
    ],
    # Keys are made anew in each process, and names of tests must be the same in all.
    ids=range(7),
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    # Made anew in each process: not in the test's name.
    text = _ORDINARY.get(text, text)
    assert list(find_secrets(text)) == []
    assert mask_secrets(text) == text


def test_nothing_that_the_project_renders_in_the_open_looks_like_a_secret() -> None:
    golden = Path(__file__).parents[1] / "golden" / "files"
    open_scripts = [*golden.glob("*/[134]-*.sh")]
    assert len(open_scripts) > 20
    shell = [*(Path(__file__).parents[2] / "host").glob("*.sh")]
    found = {path: list(find_secrets(path.read_text())) for path in (*open_scripts, *shell)}
    assert {path: names for path, names in found.items() if names} == {}
