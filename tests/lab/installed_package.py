"""The project as an installed package, in a virtual environment of another program's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def install(sources: Path, venv: Path) -> None:
    """Do what `pip install` of the example's requirement does; what it needs is there already."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    ours = Path(pytest.__file__).parents[1]
    (_site_packages(venv) / "of-the-checkout.pth").write_text(f"{ours}\n")
    subprocess.run([venv / "bin" / "pip", "install", "--quiet", "--no-deps", sources], check=True)


def _site_packages(venv: Path) -> Path:
    (folder,) = venv.glob("lib/python*/site-packages")
    return folder
