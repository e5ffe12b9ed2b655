"""Texts that shells, here-documents, YAML, systemd and terminals trip over."""

from __future__ import annotations

from hypothesis import strategies as st

CANARY = "kn-canary"
# Each would leave a trace where a shell, or systemd, took it for more than text.
INJECTIONS = (
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"'; touch {CANARY}; '",
    f'"; touch {CANARY}; "',
    f"; touch {CANARY}",
    f"| touch {CANARY} &",
    f"\nEND\ntouch {CANARY}\n",
    f"\n# end\ntouch {CANARY}\n",
    f"\n[Service]\nExecStartPre=/bin/touch {CANARY}",
    f"${{x:-$(touch {CANARY})}}",
    f"-o ProxyCommand=touch {CANARY}",
)
TRAPS = (
    *"'\"\\$%!#*?~<>&|;./= \t\n\r[]{}@`\x07\x00\x7f\x85\u2028\ufeff\u202eé😀",
    *(
        "\\\\",
        "\\n",
        "$$",
        "$HOME",
        "%n",
        "%%",
        "!!",
        "{a,b}",
        "<<END",
        "END",
        "AEND",
        "aEND",
        "EN",
    ),
    *("# end", "..", "../../etc/passwd", "  ", "\r\n", "\x1b[2J", "e\u0301", "null", "no", "on"),
    *("yes", "y", "true", "1e3", "010", "0x1f", "1.30", "1_000", "2026-11-26", "- a", "a: b"),
    *("---", "...", "&a", "*a", "!!python/object:os.system", "%YAML 1.2", "|-"),
)


def texts(longest: int = 6) -> st.SearchStrategy[str]:
    """Draw text of any characters, with traps and injections in it."""
    any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    part = st.one_of(st.sampled_from(INJECTIONS), st.sampled_from(TRAPS), any_text)
    return st.lists(part, max_size=longest).map("".join)


def lines(longest: int = 6) -> st.SearchStrategy[str]:
    """Draw such text on one line, without control characters: what may stand in a unit."""
    return texts(longest).map(lambda text: "".join(each for each in text if each.isprintable()))
