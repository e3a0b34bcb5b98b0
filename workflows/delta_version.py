"""The version of a Delta table, without a JVM: the number of the last commit in its log."""

import os


def delta_version(path: str) -> int | None:
    """The version of the table at a path or URI; None if there is none."""
    if "://" in path:
        from deltalake import DeltaTable  # 40 MB, for tables in a bucket only
        from deltalake.exceptions import TableNotFoundError

        try:
            return int(DeltaTable(path.replace("s3a://", "s3://")).version())
        except TableNotFoundError:
            return None
    try:
        names = os.listdir(f"{path}/_delta_log")  # noqa: PTH208  a look every few seconds
    except OSError:
        return None
    commits = [name[:20] for name in names if name.endswith(".json") and name[:20].isdigit()]
    return int(max(commits)) if commits else None
