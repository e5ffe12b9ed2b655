"""`python -m lab.tools`: get the tools and print where each one is."""

import argparse
import signal
import sys

from lab.tools.debian import ensure_packages
from lab.tools.errors import ToolsError
from lab.tools.pins import KUBERNETES_DEFAULT, KUBERNETES_VERSIONS
from lab.tools.toolchain import DEFAULT_TOOLS, ensure


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, do the work, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.tools", description=__doc__)
    parser.add_argument(
        "--kubernetes",
        choices=KUBERNETES_VERSIONS,
        default=KUBERNETES_DEFAULT,
        help="release of the Kubernetes programs (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        metavar="NAME,…",
        default=",".join(DEFAULT_TOOLS),
        help="just these tools (default: %(default)s; also known: kubeadm, go)",
    )
    parser.add_argument(
        "--packages", action="store_true", help="also install the Debian packages the lab needs"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwind: stop the compiler, clean up
    try:
        if options.packages:
            ensure_packages()
        found = ensure(filter(None, options.only.split(",")), options.kubernetes)
    except ToolsError as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tools: interrupted; nothing half-made is left", file=sys.stderr)
        return 130
    for name, path in found.items():
        print(f"{name:24} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
