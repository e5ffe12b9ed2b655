"""What this project puts on a host, as its WorkerNode does: credentials, then units.

Run by the benchmarks, in a copy; BENCHMARK_CREDENTIALS is the folder of the secret files.
"""

import os
from pathlib import Path

import pulumi

from benchmarks import work
from kube_nodes.components.commands import remote_command, send_scripts
from kube_nodes.settings import read_settings

settings = read_settings()
credentials = work.Credentials.read(Path(os.environ["BENCHMARK_CREDENTIALS"]))
for node in settings.nodes:
    scripts = send_scripts(
        f"{node.id}-scripts", node, life="", private_key=None, opts=pulumi.ResourceOptions()
    )
    secret_files = remote_command(
        f"{node.id}-credentials",
        node,
        pulumi.Output.secret(work.credentials_script(settings, node, credentials)),
        private_key=None,
        at_delete="remove",
        secret_output=True,
        opts=pulumi.ResourceOptions(depends_on=[scripts]),
    )
    remote_command(
        f"{node.id}-units",
        node,
        work.units_script(settings, node),
        private_key=None,
        at_delete="remove",
        opts=pulumi.ResourceOptions(depends_on=[secret_files]),
    )
