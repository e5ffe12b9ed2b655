"""The one kind of error that the lab reports without a traceback."""


class LabError(Exception):
    """What is wrong, with which value, and what to do about it."""
