"""What a local command can fail with, beside the API server's own errors."""

from __future__ import annotations


class MembershipError(Exception):
    """A step that cannot go on; the text says what was awaited or refused, and the remedy."""
