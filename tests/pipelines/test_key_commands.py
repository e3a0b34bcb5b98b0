"""`lakehouse keys`: a key is shown once, listed without it, and revoked."""

import json
from typing import Any

import pytest
from here import lakehouse

from pipelines.settings import Settings


def test_a_key_is_shown_once_and_listed_without_it(
    lake: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str, code: int = 0) -> Any:
        end = lakehouse(monkeypatch, "keys", *arguments, "--root", lake.root, "--json")
        said, progress = capsys.readouterr()
        assert end == code, progress
        return json.loads(said) if code == 0 else progress

    key = run("add", "shop", "--scope", "read", "--scope", "events", "--rate", "5")["key"]
    run("add", "soon", "--scope", "metrics", "--days", "1")
    listed = run("list")["keys"]
    assert [(k["name"], k["scopes"], k["rate"]) for k in listed] == [
        ("shop", ["read", "events"], 5.0),
        ("soon", ["metrics"], 100.0),
    ]
    assert listed[0]["expires_at"] is None and listed[1]["expires_at"] and key not in str(listed)
    assert "there is a key shop already" in run("add", "shop", "--scope", "read", code=2)
    assert run("revoke", "shop") == {"revoked": "shop"}
    assert [k["name"] for k in run("list")["keys"]] == ["soon"]
    assert "lakehouse keys list" in run("revoke", "shop", code=2)
