"""`dbutils.fs`: the file system; `dbfs:/` and `/Volumes/` are folders beside the runs' state."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from workflows.context import task_context

HEAD_BYTES = 65536


@dataclass(frozen=True)
class FileInfo:
    """An entry of a folder; `modificationTime` is in milliseconds."""

    path: str
    name: str
    size: int
    modificationTime: int

    def isDir(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")


def local(path: str) -> Path:
    """Where a path of Databricks stands here."""
    home = Path(task_context().store or ".").absolute().parent / "dbfs"
    for prefix in ("dbfs:/", "/dbfs/"):
        if path.startswith(prefix):
            return home / path.removeprefix(prefix).lstrip("/")
    if path.startswith("/Volumes/"):
        return home / path.lstrip("/")
    return Path(path.removeprefix("file:"))


class Files:
    """Files, as `dbutils.fs` has them."""

    def ls(self, dir: str) -> list[FileInfo]:
        """What a folder holds."""
        entries = sorted(local(dir).iterdir())
        return [_info(dir.rstrip("/"), entry) for entry in entries]

    def mkdirs(self, dir: str) -> bool:
        """Make a folder and those above it."""
        local(dir).mkdir(parents=True, exist_ok=True)
        return True

    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text."""
        target = local(file)
        if target.exists() and not overwrite:
            raise FileExistsError(f"{file} exists; pass overwrite=True")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(contents, encoding="utf-8")
        return True

    def head(self, file: str, maxBytes: int = HEAD_BYTES) -> str:
        """The first bytes of a file, as text."""
        with local(file).open("rb") as source:
            return source.read(maxBytes).decode("utf-8", errors="replace")

    def cp(self, from_: str, to: str, recurse: bool = False) -> bool:
        """Copy a file, or with `recurse` a folder."""
        source, target = local(from_), local(to)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            if not recurse:
                raise IsADirectoryError(f"{from_} is a folder; pass recurse=True")
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
        return True

    def mv(self, from_: str, to: str, recurse: bool = False) -> bool:
        """Move a file, or with `recurse` a folder."""
        if local(from_).is_dir() and not recurse:
            raise IsADirectoryError(f"{from_} is a folder; pass recurse=True")
        local(to).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(local(from_), local(to))
        return True

    def rm(self, dir: str, recurse: bool = False) -> bool:
        """Delete a file, or with `recurse` a folder; False if there was none."""
        target = local(dir)
        if target.is_dir():
            if not recurse and any(target.iterdir()):
                raise IsADirectoryError(f"{dir} is a folder that is not empty; pass recurse=True")
            shutil.rmtree(target)
            return True
        existed = target.exists()
        target.unlink(missing_ok=True)
        return existed


def _info(parent: str, entry: Path) -> FileInfo:
    end = "/" if entry.is_dir() else ""
    facts = entry.stat()
    size = 0 if end else facts.st_size
    name = f"{entry.name}{end}"
    return FileInfo(f"{parent}/{name}", name, size, int(facts.st_mtime * 1000))
