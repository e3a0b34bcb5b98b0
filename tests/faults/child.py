"""A process that runs the program in one warm session: a JSON list of arguments a line.

The first argument may be a break of the program, `!name` of `breaks.py`, in place of a command.
One JSON object answers each line: code, output and errors.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from breaks import all_breaks

from pipelines import cli

BREAKS = all_breaks()


def answer(arguments: list[str]) -> dict[str, Any]:
    """What a command, or a break, says and ends with."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if arguments[0] in BREAKS:
            BREAKS[arguments[0]](*arguments[1:])
            code = 0
        else:
            sys.argv[1:] = arguments
            code = cli.main()
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed goes to the log
    cli.end_on_signals = lambda: None  # this process is ended by its parent
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()
