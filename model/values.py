"""Checks of single values: each returns the value, canonical, or raises a rule with its remedy.

A rule that begins with "!" is about a value that must not be shown, or is too long to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import AfterValidator

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?", re.ASCII)
_THRESHOLD = re.compile(r"\d+(\.\d+)?(k|M|G|T|Ki|Mi|Gi|Ti)?|(100|\d{1,2}(\.\d+)?)%", re.ASCII)
_PATH = re.compile(r"/[\w./+@-]*", re.ASCII)
_FILE = re.compile(r"(/[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA512 = re.compile(r"[0-9a-f]{128}")
_PROJECT_FILE = re.compile(
    r"[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*(/[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*)*"
)
_MIRROR = re.compile(r"https?://[^\s/'\"\\?#]+(/[^\s'\"\\?#]*)?")
_DOWNLOAD = re.compile(r"https?://[^\s/'\"\\]+/[^\s'\"\\]+")
# Source: the grammar of github.com/distribution/reference, with its one digest in use.
_IMAGE = re.compile(
    r"([\w.-]+(:\d+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:\w[\w.-]{0,127})?(@.*)?",
    re.ASCII,
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_USER = re.compile(r"[A-Za-z_][\w.@-]{0,63}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_LONGEST_NAME = 253
_LONGEST_URL = 2000
# Source: github.com/distribution/reference, NameTotalLengthMax.
_LONGEST_IMAGE = 255
# PATH_MAX and NAME_MAX of Linux, with room for the suffix of a file that is not in place yet.
_LONGEST_PATH, _LONGEST_PART = 4000, 240
# sun_path of unix(7), without its last byte.
_LONGEST_SOCKET = 107


@dataclass(frozen=True)
class OneOf:
    """The check of a value that is one of a few names; the reference lists them."""

    names: tuple[str, ...]
    what: str

    def __call__(self, value: str) -> str:
        """Return the value if it is one of the names."""
        if value not in self.names:
            raise ValueError(f"is not {self.what}; use one of {', '.join(self.names)}")
        return value


@dataclass(frozen=True)
class Between:
    """The check of a whole number within bounds; the reference shows them."""

    least: int
    most: int
    unit: str

    def __call__(self, value: int) -> int:
        """Return the value if it is within the bounds."""
        if not self.least <= value <= self.most:
            raise ValueError(
                f"is out of range; give {self.least} to {self.most} {self.unit}".rstrip()
            )
        return value


def one_of(names: Iterable[str], what: str) -> AfterValidator:
    """Make the check of a value that is one of a few names."""
    return AfterValidator(OneOf(tuple(names), what))


def between(least: int, most: int, unit: str = "") -> AfterValidator:
    """Make the check of a whole number within bounds."""
    return AfterValidator(Between(least, most, unit))


def check_download(value: str) -> str:
    """Check the URL of a file; it travels to the hosts, and into the state, in the open."""
    if re.match(r"https?://[^/]*@", value):
        raise ValueError("!holds a user name or password, which previews would show; remove it")
    if len(value) > _LONGEST_URL:
        raise ValueError(f"is too long for a URL; give at most {_LONGEST_URL} characters")
    if not _DOWNLOAD.fullmatch(value):
        raise ValueError("is not a download's URL; write such as https://files.example/kubelet")
    return value


def check_sha256(value: str) -> str:
    """Check a SHA-256."""
    if not _SHA256.fullmatch(value):
        raise ValueError("is not a SHA-256; give 64 lower-case hexadecimal digits")
    return value


def check_sha512(value: str) -> str:
    """Check a SHA-512."""
    if not _SHA512.fullmatch(value):
        raise ValueError("is not a SHA-512; give 128 lower-case hexadecimal digits")
    return value


def check_project_file(value: str) -> str:
    """Check the path of a file in the project's folder: the same on every operator's machine."""
    if value.startswith("/") or not _PROJECT_FILE.fullmatch(value):
        raise ValueError(
            "is not a file in the project's folder; write such as binaries/1.37.2/kubelet"
        )
    return value


def check_mirror(value: str) -> str:
    """Check the base of a mirror's URLs; returns it without a slash at its end."""
    if re.match(r"https?://[^/]*@", value):
        raise ValueError("!holds a user name or password, which previews would show; remove it")
    if not _MIRROR.fullmatch(value):
        raise ValueError("is not a mirror's URL; write such as https://mirror.example/kubernetes")
    return value.rstrip("/")


def check_image(value: str) -> str:
    """Check the name of a container image."""
    if len(value) > _LONGEST_IMAGE:
        raise ValueError(
            f"is too long for an image's name; give at most {_LONGEST_IMAGE} characters"
        )
    if not _IMAGE.fullmatch(value):
        raise ValueError("is not an image's name; write such as registry.example/web:1.0")
    _, at, digest = value.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError("has a damaged digest; write @sha256: and 64 hexadecimal digits")
    return value


def check_uid(value: str) -> str:
    """Check the UID of the namespace kube-system."""
    if not _UUID.fullmatch(value):
        raise ValueError(
            "is not a UID; give what `kubectl get namespace kube-system "
            "-o jsonpath={.metadata.uid}` prints"
        )
    return value


def check_text(value: str) -> str:
    """Check a name that others choose: one line, not empty."""
    if not value.isprintable():
        raise ValueError("has a control character; give one line of text")
    if not value.strip():
        raise ValueError("is not a name; give one line of text, or remove the key")
    if len(value) > _LONGEST_NAME:
        raise ValueError(f"is too long for a name; give at most {_LONGEST_NAME} characters")
    return value


def check_runtime_class(value: str) -> str:
    """Check the name of an object in the cluster, or that none is wanted."""
    if value and (len(value) > _LONGEST_NAME or not _OBJECT_NAME.fullmatch(value)):
        raise ValueError(
            "is not the name of a RuntimeClass; use lower-case letters, digits, '-' and '.', "
            "or leave it empty for none"
        )
    return value


def check_dns_label(value: str) -> str:
    """Check a name that names resources too."""
    if len(value) > 63:
        raise ValueError("is too long for a DNS label; give at most 63 characters")
    if not _DNS_LABEL.fullmatch(value):
        raise ValueError("is not a DNS label; use lower-case letters, digits and '-', at most 63")
    return value


def check_user(value: str) -> str:
    """Check the name of a user of a host."""
    if not _USER.fullmatch(value):
        raise ValueError("is not a user's name; write such as root or admin")
    return value


def check_quantity(value: str | None) -> str | None:
    """Check a Kubernetes quantity."""
    if value is not None and not _QUANTITY.fullmatch(value):
        raise ValueError("is not a Kubernetes quantity; write such as 200m, 512Mi or 1Gi")
    return value


def check_threshold(value: str | None) -> str | None:
    """Check an eviction threshold: a quantity or a share."""
    if value is not None and not _THRESHOLD.fullmatch(value):
        raise ValueError("is not an eviction threshold; write such as 100Mi or 10%")
    return value


def check_path(value: str) -> str:
    """Check an absolute path without white space."""
    if not _PATH.fullmatch(value) or "/../" in f"{value}/":
        raise ValueError("is not an absolute path; write such as /opt/cni/bin")
    return _check_length(value)


def check_file(value: str) -> str:
    """Check the absolute path of a file or folder that this program writes."""
    if not _FILE.fullmatch(value):
        raise ValueError(
            "is not the path of a file; begin with / and use letters, digits and ._@+=- alone"
        )
    return _check_length(value)


def _check_length(path: str) -> str:
    longest = max(map(len, path.split("/")))
    if len(path) > _LONGEST_PATH or longest > _LONGEST_PART:
        raise ValueError(
            f"is too long for a path; give at most {_LONGEST_PATH} characters, and "
            f"{_LONGEST_PART} between two slashes"
        )
    return path


def check_socket(value: str) -> str:
    """Check the URL of a unix socket."""
    scheme, _, path = value.partition("://")
    if scheme != "unix" or not _PATH.fullmatch(path) or path.endswith("/"):
        raise ValueError("is not a socket; write such as unix:///run/containerd/containerd.sock")
    if len(path) > _LONGEST_SOCKET:
        raise ValueError(
            f"is too long for a socket; give a path of at most {_LONGEST_SOCKET} characters"
        )
    return value
