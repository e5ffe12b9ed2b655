"""The error of a command that could not do its work at all."""


class FleetError(Exception):
    """Why, and what to do, in one line."""
