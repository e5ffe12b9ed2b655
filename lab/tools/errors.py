"""The one error that the toolchain raises on purpose."""

from lab.errors import LabError


class ToolsError(LabError):
    """A tool or package cannot be had; the text says which one, why, and what to do."""
