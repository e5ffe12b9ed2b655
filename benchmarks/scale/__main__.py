"""Measure a large fleet: `python -m benchmarks.scale --help`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.command_line import exit_status
from benchmarks.scale import cluster, figures, world
from lab import rootfs
from lab.lifecycle import progress, require_linux_root
from lab.plugins.install import install
from lab.tools import ensure
from lab.tools.cache import Cache, default_cache_root
from lab.tools.debian import ensure_packages

CHECKOUT = Path(__file__).resolve().parents[2]
_SECONDS = 3600


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options = _parser().parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    status = 0 if options.tables else _measure(options)
    return status or _publish(options.samples, options.page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "--nodes", type=_sizes, default=(100,), help="such as 100,250: each size after the other"
    )
    parser.add_argument(
        "--cases", type=_cases, default=figures.CASES, help="by their names, with ;"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set for the engine"
    )
    parser.add_argument(
        "--set-create", action="append", default=[], metavar="NAME=VALUE", help="of creates alone"
    )
    parser.add_argument(
        "--dir", type=Path, help="keep everything here, and go on with it next time"
    )
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="end all after so long")
    parser.add_argument("--samples", type=Path, help="add what was measured to this file")
    parser.add_argument("--tables", action="store_true", help="show the tables of --samples alone")
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(word) for word in text.split(",")}))


def _cases(text: str) -> tuple[str, ...]:
    found = tuple(word.strip() for word in text.split(";"))
    if unknown := set(found) - set(figures.CASES):
        known = "; ".join(figures.CASES)
        raise argparse.ArgumentTypeError(f"{sorted(unknown)[0]!r} is none of {known}")
    return found


def _measure(options: argparse.Namespace) -> int:
    require_linux_root()
    tell = progress()
    tell(f"{report.machine()}; load {os.getloadavg()[0]:.2f}")
    ensure_packages(report=tell)
    programs = {name: str(path) for name, path in ensure(("pulumi", *cluster.PARTS)).items()}
    root = rootfs.ensure(Cache(default_cache_root()), tell, rootfs.LIGHT_PACKAGES)
    with _folder(options.dir) as directory:
        tell(install(directory / "pulumi-home", CHECKOUT).sentence)
        if options.samples is None:
            options.samples = Path(tempfile.mkstemp(prefix="kn-scale-", suffix=".jsonl")[1])
            tell(f"samples: {options.samples}")
        wish = {
            "sizes": options.nodes,
            "cases": options.cases,
            "settings": options.set,
            "create_settings": options.set_create,
        }
        words = [str(directory), str(root), str(options.samples.resolve())]
        words += [json.dumps(programs), json.dumps(wish)]
        return world.enter("benchmarks.scale.inside", words, options.seconds)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Give a folder; one that nobody asked to keep is removed."""
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="kn-scale-", dir="/var/tmp"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _publish(samples: Path, page: Path | None) -> int:
    text = figures.render(figures.load(samples.read_text(encoding="utf-8")))
    if page:
        report.write_part(page, "scale", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
