"""No file of the repository holds a secret."""

import subprocess
from pathlib import Path

import pytest

from pipelines.plaintext import is_secret

PROJECT = Path(__file__).resolve().parents[2]
# What tests give to the code that must find it, and the pattern itself.
EXAMPLES = (
    "tests/pipelines/test_settings.py",
    "tests/supply/",
    "tests/workflows/",
    "pipelines/plaintext.py",
)


def committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    return [PROJECT / name for name in listed.stdout.split("\0") if name]


def test_no_committed_line_has_the_shape_of_a_secret() -> None:
    found = []
    for file in committed():
        name = str(file.relative_to(PROJECT))
        if name.startswith(EXAMPLES) or not file.is_file():
            continue
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [f"{name}:{n}" for n, line in enumerate(lines, start=1) if is_secret("", line)]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "key = AKIAIOSFODNN7EXAMPLE",
        "token: dapi0123456789abcdef0123456789abcdef",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "postgres://me:hunter2@db:5432/x",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "lh_" + "a" * 43,
    ],
)
def test_the_scan_finds_what_it_is_for(text: str) -> None:
    assert is_secret("", text)


@pytest.mark.parametrize("text", ["redis://127.0.0.1:6379/0", "https://a.b/c?d=e@f", "{{x}}", ""])
def test_the_scan_leaves_the_usual_alone(text: str) -> None:
    assert not is_secret("", text)
