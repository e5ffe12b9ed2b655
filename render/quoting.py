"""Quote a value as one word of a POSIX shell command: the only place that does."""

import shlex


def shell_word(value: str) -> str:
    """Return `value` as one shell word.

    Raises:
        ValueError: It holds a control character. No path, URL or name needs one, and a line break
            in a command would end it.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(f"{value!r} holds a control character; remove it")
    return shlex.quote(value)
