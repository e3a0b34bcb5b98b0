"""What `${bundle.git.…}` says: read from .git, without the program."""

import re
from pathlib import Path

ORIGIN = re.compile(r'\[remote "origin"\][^\[]*?url\s*=\s*(\S+)')


def git_facts(folder: Path) -> dict[str, str]:
    """Branch, commit and origin_url of the repository that `folder` is in, as far as known."""
    home = next((p / ".git" for p in (folder, *folder.parents) if (p / ".git").exists()), None)
    if home is None:
        return {}
    if home.is_file():  # a worktree names its folder
        home = Path(home.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
    common_file = home / "commondir"
    common = home / common_file.read_text().strip() if common_file.exists() else home
    head = _read(home / "HEAD")
    branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else ""
    commit = _read(common / head.removeprefix("ref: ")) if branch else head
    origin = ORIGIN.search(_read(common / "config"))
    facts = {"branch": branch, "commit": commit, "origin_url": origin[1] if origin else ""}
    return {name: value for name, value in facts.items() if value}


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
