"""Findings for a person, as a table and lines, or for a program, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.model.findings import Finding, Level, has_failed

STYLES = {Level.OK: "green", Level.NOTE: "yellow", Level.FAILED: "bold red"}
CLUSTER = "(cluster)"


def report(
    nodes: Sequence[str],
    findings: Iterable[Finding],
    *,
    as_json: bool = False,
    show_all: bool = False,
    console: Console | None = None,
) -> int:
    """Print the findings; return the exit status: 1 where something has to be mended.

    Args:
        nodes: ids of all nodes that were looked at, in the order in which they are shown.
        findings: what was found; those of the cluster have no node.
        as_json: print `{"nodes": [...], "findings": [...], "failed": bool}` instead.
        show_all: name also what is well.
        console: where to print.
    """
    found = list(findings)
    failed = has_failed(found)
    console = console or Console(soft_wrap=True)
    if as_json:
        rows = [asdict(finding) for finding in found]
        document = {"nodes": list(nodes), "findings": rows, "failed": failed}
        console.out(json.dumps(document, indent=2), highlight=False)
        return int(failed)
    console.print(_table(nodes, found))
    for finding in found:
        if show_all or finding.level is not Level.OK:
            line = Text(f"{finding.level:11} ", STYLES.get(finding.level, ""))
            console.print(line.append(str(finding), ""), highlight=False)
    return int(failed)


def _table(nodes: Sequence[str], findings: Sequence[Finding]) -> Table:
    table = Table("NODE", "RESULT", "OK", "NOTES", "FAILED", "NOT CHECKED")
    for node in (*([CLUSTER] if any(not each.node for each in findings) else []), *nodes):
        own = [each.level for each in findings if (each.node or CLUSTER) == node]
        result = next((level for level in (Level.FAILED, Level.NOTE) if level in own), Level.OK)
        counts = [str(own.count(level)) for level in Level]
        table.add_row(node, Text(result, STYLES[result]), *counts)
    return table
