"""The one error that the toolchain raises on purpose."""


class ToolsError(Exception):
    """A tool or package cannot be had; the text says which one, why, and what to do."""
