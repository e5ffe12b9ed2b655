"""The command line of the lab: `python -m lab --help`."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab import lifecycle, ssh, status
from lab import spec as lab_spec
from lab.env import lab_variables, shell_exports
from lab.errors import LabError
from lab.tools import KUBERNETES_DEFAULT, KUBERNETES_VERSIONS, ToolsError

DESCRIPTION = """\
A real Kubernetes control plane and real node hosts on this one Linux machine (root needed).
The hosts are Debian systems with systemd, sshd and containerd; nothing of Kubernetes is on them.
"""
CHECKOUT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options, rest = parser().parse_known_args(arguments)
    if rest and not options.passes_on:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    options.dir = Path(options.dir).expanduser().resolve()
    try:
        return int(options.run(options))
    except (LabError, ToolsError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; run the same command again to go on", file=sys.stderr, flush=True)
        # At once: what still runs in threads may be cut off anywhere, as by a kill.
        os._exit(130)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="python -m lab", description=DESCRIPTION)
    top.set_defaults(passes_on=False)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument(
            "--dir",
            default=os.environ.get("LAB_DIR") or str(lab_spec.default_directory()),
            help="the lab's folder (default: %(default)s, or LAB_DIR)",
        )
        one.set_defaults(run=run)
        return one

    _add_up(command("up", _up, "start what is not running of the lab; make it when there is none"))
    command("add-host", _add_host, "boot one more host").add_argument("host")
    command("remove-host", _remove_host, "switch a host off and remove it").add_argument("host")
    command("down", _down, "remove everything of the lab from this machine")
    command("status", _status, "show what runs; the exit status is 1 when something does not")
    command("env", _env, 'print shell lines: eval "$(python -m lab env)"')
    shell = command("ssh", _ssh, "open a shell on a host, or run a command there")
    shell.add_argument("--print", action="store_true", help="print the ssh command line instead")
    shell.add_argument("--user", default="root", help="root, or admin who may use sudo")
    shell.add_argument("host")
    shell.add_argument("command", nargs=argparse.REMAINDER, help="what to run there")
    configure = command("configure", _configure, "write the lab's values into a stack's config")
    configure.add_argument("--project", default=".", help="folder of Pulumi.yaml")
    configure.add_argument("--stack", default="dev", help="the stack (default: %(default)s)")
    configure.add_argument(
        "--hosts", type=_names, help="declare these hosts only, as n1,n2 (default: all)"
    )
    tools = command("tools", _tools, "build or install the tools; see python -m lab.tools --help")
    plugins = command("plugins", _plugins, "install Pulumi's plugins for the lab")
    tools.set_defaults(passes_on=True)
    plugins.add_argument("--again", action="store_true", help="try the official ones once more")
    return top


def _add_up(up: argparse.ArgumentParser) -> None:
    up.add_argument("--hosts", type=_names, help="host names (default: n1,n2)")
    up.add_argument("--subnet", help=f"of bridge and hosts (default: {lab_spec.DEFAULT_SUBNET})")
    up.add_argument("--bridge", help=f"its name (default: {lab_spec.DEFAULT_BRIDGE})")
    up.add_argument("--pod-cidr", help="the pods' range (default: derived from the subnet)")
    up.add_argument(
        "--kubernetes",
        choices=KUBERNETES_VERSIONS,
        help=f"the control plane's version (default: {KUBERNETES_DEFAULT})",
    )


def _names(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, value.split(","))))


def _up(options: argparse.Namespace) -> int:
    wish = lifecycle.Wish(
        hosts=options.hosts,
        subnet=options.subnet,
        bridge=options.bridge,
        kubernetes=options.kubernetes,
        pod_cidr=options.pod_cidr,
    )
    lifecycle.up(options.dir, wish, lifecycle.progress())
    return 0


def _add_host(options: argparse.Namespace) -> int:
    existing = lab_spec.require(options.dir)
    names = (*existing.host_names, options.host)
    lifecycle.up(options.dir, lifecycle.Wish(hosts=names), lifecycle.progress())
    return 0


def _remove_host(options: argparse.Namespace) -> int:
    lifecycle.remove_host(options.dir, lab_spec.require(options.dir), options.host)
    return 0


def _down(options: argparse.Namespace) -> int:
    problems = lifecycle.down(options.dir, lifecycle.progress())
    for problem in problems:
        print(f"lab: not removed: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _status(options: argparse.Namespace) -> int:
    rows = status.rows(lab_spec.require(options.dir))
    print(status.render(rows))
    return 0 if all(row.up for row in rows) else 1


def _env(options: argparse.Namespace) -> int:
    from lab.tools import ensure

    spec = lab_spec.load(options.dir)
    paths = ensure(("pulumi", "kubectl"), spec.kubernetes if spec else KUBERNETES_DEFAULT).values()
    variables = lab_variables(
        options.dir,
        venv=CHECKOUT / ".venv",
        tool_directories=dict.fromkeys(path.parent for path in paths),
        path=os.environ.get("PATH", ""),
    )
    print(shell_exports(variables), end="")
    return 0


def _ssh(options: argparse.Namespace) -> int:
    spec = lab_spec.require(options.dir)
    argv = ssh.command(spec, spec.host(options.host), options.user)
    if options.print:
        print(shlex.join(argv))
        return 0
    return subprocess.run([*argv, *options.command], check=False).returncode


def _configure(options: argparse.Namespace) -> int:
    from lab import stack_config
    from lab.stack import Stack

    spec = lab_spec.require(options.dir)
    stack = Stack(spec, Path(options.project).resolve(), options.stack)
    stack.select()
    stack_config.configure(
        spec,
        stack.project,
        stack.name,
        options.hosts or spec.host_names,
        stack.environment(),
        kubernetes=options.kubernetes,
    )
    return 0


def _tools(options: argparse.Namespace) -> int:
    from lab.tools.__main__ import main as tools_main

    return tools_main(options.rest)


def _plugins(options: argparse.Namespace) -> int:
    from lab.plugins.install import install

    print(install(options.dir / "pulumi-home", CHECKOUT, again=options.again).sentence)
    return 0
