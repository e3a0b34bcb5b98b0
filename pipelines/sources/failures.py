"""What a source says when it fails, found again in the report of a stream that it ended."""

import re
from urllib.parse import unquote

from pipelines.errors import SourceError

# What our own code raises in a Python worker stands in the report with the name of its class.
_OURS = re.compile(r"pipelines\.errors\.SourceError: (?P<message>[^\n]+)")
_FILE = re.compile(r"\[FAILED_READ_FILE\.(?P<kind>\w+)\][^\n]*? file (?P<file>\S+?)\.?\s")


def source_failure(stage: str, report: str) -> SourceError | None:
    """The failure of a source as one line; None if it was something else that failed.

    Args:
        report: all that Spark says of the end of a stream.
    """
    if ours := _OURS.search(report):
        return SourceError(f"{stage}: {ours['message'].strip()}")
    if file := _FILE.search(report):
        what = "is gone" if file["kind"] == "FILE_NOT_EXIST" else "is damaged or incomplete"
        return SourceError(
            f"{stage}: {unquote(file['file'])} {what}; put a good file in its place, or an empty "
            "one to go on without it, and run again; nothing was lost"
        )
    return None
