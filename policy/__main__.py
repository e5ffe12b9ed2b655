"""Serve the pack; the engine starts this folder as a program, and reads the port that it prints."""

from __future__ import annotations

import io
import sys
from pathlib import Path

# The engine starts it by its folder, which then stands for the modules in it; they are in `policy`.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(one for one in sys.path if Path(one).resolve() != _HERE)]
# Older language hosts start it without -u, and would wait for the port for ever.
sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)

from pulumi_policy import EnforcementLevel, PolicyPack  # noqa: E402

from policy.pack import POLICIES  # noqa: E402
from policy.secrecy import keep_secrets  # noqa: E402

keep_secrets()
PolicyPack("kube-nodes", POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
