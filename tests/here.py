"""Commands of the program in this process, whose session is warm."""

import sys

import pytest

from pipelines import cli


def lakehouse(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command; returns its exit code."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["lakehouse", *arguments])
        patch.setattr(cli, "end_on_signals", lambda: None)
        return cli.main()
