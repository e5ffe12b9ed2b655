"""Start a stand-in plugin by name: `python lab/plugins/launch.py NAME ENGINE-ADDRESS`.

A file, not `python -m`, so that neither PYTHONPATH nor the working folder has to be set:
local commands inherit the plugin's environment and folder, and would see the difference.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    # This file's folder has a `random` that would hide the standard one.
    sys.path[:] = [str(here.parents[1]), *(one for one in sys.path if one != str(here))]
    name = sys.argv.pop(1)
    runpy.run_module(f"lab.plugins.{name}", run_name="__main__", alter_sys=True)
