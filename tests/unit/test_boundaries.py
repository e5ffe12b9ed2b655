"""Which part of the project may import which: arrows point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PRODUCT = ("components", "fleet", "host", "membership", "model", "provider", "render", "review")
_FILES = [
    _ROOT / "settings.py",
    _ROOT / "program.py",
    _ROOT / "__main__.py",
    *(file for folder in _PRODUCT for file in sorted((_ROOT / folder).rglob("*.py"))),
]
_EVERY_FILE = pytest.mark.parametrize(
    "file", _FILES, ids=[str(f.relative_to(_ROOT)) for f in _FILES]
)

# What a part of the package may import of the package, beside itself.
_ALLOWED = {
    "model": set(),
    "host": set(),
    "render": {"model"},
    "membership": {"model", "render"},
    "settings": {"model"},
    "components": {"model", "render", "settings"},
    # components: what the program would declare, for the graph.
    "fleet": {"components", "membership", "model", "render", "settings"},
    "review": {"model", "render", "settings"},
    "program": {"components", "fleet", "membership", "model", "settings"},
    "provider": {"components", "program", "settings", "model"},
    "__main__": {"program"},
}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _part(file: Path) -> str:
    return file.relative_to(_ROOT).parts[0].removesuffix(".py")


@_EVERY_FILE
def test_a_part_imports_only_what_is_below_it(file: Path) -> None:
    parts = {name.split(".")[1] for name in _imports(file) if name.startswith("kube_nodes.")}
    parts.discard("__version__")
    assert parts <= _ALLOWED[_part(file)] | {_part(file)}


@_EVERY_FILE
def test_no_product_code_imports_the_lab_or_a_test(file: Path) -> None:
    assert {name.split(".")[0] for name in _imports(file)}.isdisjoint({"lab", "tests"})


@_EVERY_FILE
def test_only_settings_reads_the_configuration(file: Path) -> None:
    reads = [
        node.lineno
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("Config", "get_config")
    ]
    reads += [
        1 for name in _imports(file) if name.startswith(("pulumi.config", "pulumi.runtime.config"))
    ]
    assert bool(reads) == (file.name == "settings.py")


@pytest.mark.parametrize("parts", [("model", "render"), ("membership",)], ids=" and ".join)
def test_pulumi_is_not_even_loaded_by(parts: tuple[str, ...]) -> None:
    """Renderers stay pure, and the local commands start in no time."""
    modules = [
        f"kube_nodes.{part}.{file.stem}"
        for part in parts
        for file in sorted((_ROOT / part).glob("*.py"))
        if not file.stem.startswith("__")
    ]
    show = "print([name for name in sys.modules if name.split('.')[0] == 'pulumi'])"
    code = f"import sys, {', '.join(modules)}; {show}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
