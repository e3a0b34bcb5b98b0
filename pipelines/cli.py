"""The command line's way in: runs a command, and turns every error into one line."""

import os
import sys
import traceback
from pathlib import Path

import typer
from typer import TyperException

from pipelines import (  # noqa: F401  # add their commands to `app`
    key_commands,
    lake_commands,
    model_commands,
    reaction_commands,
    schedule_commands,
    upkeep_commands,
    workflow_commands,
)
from pipelines.app import app
from pipelines.errors import LakehouseError
from pipelines.running import STOPPED, audited, end_on_signals


def main() -> int:
    """Run a command; every error that a user is meant to read is one line."""
    end_on_signals()
    with audited(sys.argv[1:]) as tell:
        return tell(_run())


def _run() -> int:
    try:
        code = int(app(standalone_mode=False) or 0)
        return _fail("stopped", code) if code == STOPPED else code  # typer catches Ctrl-C
    except LakehouseError as error:
        return _fail(str(error), error.exit_code)
    except typer.Abort:
        return _fail("stopped", STOPPED)
    except TyperException as error:
        return _fail(error.format_message(), error.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped", STOPPED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}; mend that and run again", 1)
    except Exception as error:
        return _unexpected(error)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"lakehouse: {' '.join(message.split())}\n")
    return code


def _unexpected(error: Exception) -> int:
    """An error that nobody foresaw: its place goes to a file, one line to the user."""
    from pipelines.io.failures import said

    log = Path(os.environ.get("TMPDIR", "/tmp")) / f"lakehouse-error-{os.getpid()}.log"  # noqa: S108
    log.write_text("".join(traceback.format_exception(error)))
    return _fail(f"unexpected {type(error).__name__}: {said(error)}; details in {log}", 1)
