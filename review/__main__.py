"""The command line: `pulumi preview --json | python -m kube_nodes.review > comment.md`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from kube_nodes.review.markdown import LIMITS, render_comment
from kube_nodes.review.preview import PreviewError, parse_preview

_MINOR = re.compile(r"v?1\.(\d{1,3})(\.\d+)?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the comment to standard output; return 0, 1 where the preview failed, 2 without one."""
    options = _parser().parse_args(arguments)
    try:
        source = sys.stdin.read() if options.file == "-" else _read(options.file)
        preview = parse_preview(source)
    except PreviewError as error:
        print(f"review: {options.file}: {error}", file=sys.stderr)
        return 2
    print(
        render_comment(
            preview,
            # The line break at the end counts, too.
            limit=(options.limit or LIMITS[options.forge]) - 1,
            api_server_minor=options.api_server,
        )
    )
    return 1 if preview.errors else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PreviewError(f"can't be read: {error.strerror}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kube_nodes.review", description=__doc__)
    parser.add_argument(
        "file", nargs="?", default="-", help="what `pulumi preview --json` printed (default: stdin)"
    )
    parser.add_argument("--forge", choices=LIMITS, default="github", help="whose size limit holds")
    parser.add_argument("--limit", type=int, help="characters that the comment may have")
    parser.add_argument(
        "--api-server", type=_minor, metavar="VERSION", help="the cluster's version, such as 1.37"
    )
    return parser


def _minor(text: str) -> int:
    found = _MINOR.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no version; give one such as 1.37")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
