"""The command line: `python -m kube_nodes.fleet COMMAND --stack NAME` or `--fleet FILE`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from kube_nodes.fleet.errors import FleetError
from kube_nodes.settings import ConfigurationError

# Each is a module of this package with DESCRIPTION, add_arguments(parser) and run(options); and
# OF_A_FLEET where it is for all stacks of one.
_COMMANDS: tuple[str, ...] = (
    "adopt",
    "certificates",
    "drift",
    "fleet-preview",
    "fleet-status",
    "fleet-up",
    "graph",
    "host-keys",
    "new-stack",
    "operator",
    "preflight",
    "show",
    "status",
    "verify",
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status.

    0: all well; 1: something to mend; 2: no answer; 3, of drift alone: there is some.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (FleetError, ConfigurationError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kube_nodes.fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        module = import_module(f"kube_nodes.fleet.{name.replace('-', '_')}")
        text = module.DESCRIPTION
        command = commands.add_parser(name, help=text, description=text)
        if getattr(module, "OF_A_FLEET", False):
            command.add_argument("--fleet", required=True, help="the fleet's file")
        else:
            command.add_argument("--stack", required=True, help="the stack, in the working folder")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
