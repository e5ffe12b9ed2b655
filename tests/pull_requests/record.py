"""Record real previews, and the comments of some: `python -m tests.pull_requests.record`.

What is kept for tests that start nothing is cut: outputs, which repeat the inputs, dependencies,
places in source files, and the sum of host/, which each change of a script changes.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from kube_nodes.render.shell import host_scripts_sum
from kube_nodes.review.markdown import render_comment
from kube_nodes.review.preview import parse_preview
from tests.plugins.engine import CHECKOUT
from tests.pull_requests.changes import CHANGES, SHOWN
from tests.pull_requests.stack import nodes_stack

RECORDINGS = CHECKOUT / "tests" / "unit" / "data" / "previews"
_KEPT = ("urn", "type", "parent", "custom")
EXAMPLES = CHECKOUT / "docs" / "examples"


def example(change: str) -> Path:
    """Name the file with the comment of a change."""
    return EXAMPLES / f"comment-{change}.md"


def main() -> None:
    """Write every recording and example."""
    RECORDINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, nodes_stack(Path(folder)) as stack:
        for change in CHANGES:
            text = stack.propose(change)
            (RECORDINGS / f"{change}.json").write_text(cut(text))
            if change in SHOWN:
                example(change).write_text(f"{render_comment(parse_preview(text))}\n")


def cut(text: str) -> str:
    """Take out of a preview what nobody reads."""
    document = json.loads(text)
    for step in document.get("steps") or []:
        for side in ("oldState", "newState"):
            state = step.get(side, {})
            inputs = {key: _cut(value) for key, value in state.get("inputs", {}).items()}
            kept = {key: state[key] for key in _KEPT if key in state}
            if state:
                step[side] = {**kept, "inputs": inputs}
    return json.dumps(document, indent=1) + "\n"


def _cut(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.replace(host_scripts_sum(), "…")


if __name__ == "__main__":
    main()
