"""Run a module as `python -m` does: what updates a pipeline here."""

import runpy
import sys


def main() -> None:
    """Run the module that the arguments name first."""
    name = sys.argv.pop(0)
    sys.argv.insert(0, name)
    runpy.run_module(name, run_name="__main__", alter_sys=True)
