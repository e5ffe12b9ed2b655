"""fleet-preview: run `pulumi preview` on every stack of a fleet."""

from __future__ import annotations

import argparse

from kube_nodes.fleet import fleet_up

DESCRIPTION = "run `pulumi preview` on every stack of a fleet; no host and no node is changed"
OF_A_FLEET = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    fleet_up.add_arguments(parser)
    parser.add_argument("--diff", action="store_true", help="show what changes, line by line")


def run(options: argparse.Namespace) -> int:
    """Preview all of them; the exit status is that of fleet-up."""
    command = ("preview", *(["--diff"] if options.diff else []))
    return fleet_up.run_fleet(options, command, dry=True)
