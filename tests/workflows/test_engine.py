"""Runs side by side, what others ask of a runner, and who is told what."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from openlineage.client.event_v2 import Job as LineageJob
from openlineage.client.event_v2 import Run as LineageRun
from openlineage.client.event_v2 import RunEvent, RunState

from workflows.active import Change
from workflows.engine import Engine
from workflows.model import Job, Task
from workflows.post import flush
from workflows.records import RunRecord
from workflows.runner import engine_in
from workflows.states import State

WAIT = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.005)\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_in(tmp_path / "state") as opened:
        yield opened


Record = Callable[..., RunRecord]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    def made(code: str = "", **settings: object) -> RunRecord:
        (tmp_path / "task.py").write_text(code)
        task = Task("t", "spark_python_task", file=str(tmp_path / "task.py"))
        job = Job("daily", (task,), id=5, name="Daily", **settings)  # type: ignore[arg-type]
        folder = tmp_path / "state" / "runs" / str(len(list(tmp_path.rglob("runs/*"))))
        return RunRecord(job, str(tmp_path), str(folder), "shop", "dev", user="me")

    return made


def finish(engine: Engine) -> list[str]:
    while engine.active():
        engine.wait(0.1)
    return [str(run["state"]) for run in reversed(engine.store.runs())]


def test_run_that_finds_no_room_is_skipped(engine: Engine, record: Record, tmp_path: Path) -> None:
    first = record(WAIT)
    engine.submit(first)
    engine.submit(first)
    (tmp_path / "go").touch()
    assert finish(engine) == ["SUCCESS", "MAXIMUM_CONCURRENT_RUNS_REACHED"]


def test_queued_runs_wait_their_turn(engine: Engine, record: Record, tmp_path: Path) -> None:
    queued = record(WAIT, queued=True)
    for _ in range(3):
        engine.submit(queued)
    assert [run["state"] for run in engine.store.runs()] == ["QUEUED", "QUEUED", "RUNNING"]
    (tmp_path / "go").touch()
    assert finish(engine) == ["SUCCESS"] * 3
    starts = [run["started_at"] for run in engine.store.runs()]
    assert starts == sorted(starts, reverse=True)


def test_queued_run_starts_when_the_run_of_another_process_has_ended(
    engine: Engine, record: Record, tmp_path: Path
) -> None:
    queued = record(queued=True)
    with engine_in(tmp_path / "state") as other:
        other.submit(record(WAIT, queued=True))
        mine = engine.submit(queued)
        engine.wait(0.01)
        assert engine.active() == []
        (tmp_path / "go").touch()
        finish(other)
    engine.run_until_done(mine)
    assert finish(engine) == ["SUCCESS"] * 2


def test_as_many_runs_as_allowed_go_on_side_by_side(
    engine: Engine, record: Record, tmp_path: Path
) -> None:
    many = record(WAIT, max_concurrent_runs=2)
    for _ in range(3):
        engine.submit(many)
    assert len(engine.active()) == 2
    (tmp_path / "go").touch()
    assert sorted(finish(engine))[1:] == ["SUCCESS", "SUCCESS"]


def test_job_of_which_no_run_may_go_on_is_skipped(engine: Engine, record: Record) -> None:
    engine.submit(record(max_concurrent_runs=0))
    assert finish(engine) == ["MAXIMUM_CONCURRENT_RUNS_REACHED"]


def test_run_is_canceled_at_the_wish_of_another_process(engine: Engine, record: Record) -> None:
    run_id = engine.submit(record(WAIT))
    engine.store.wish_cancel(run_id)
    assert finish(engine) == ["CANCELED"]
    assert engine.store.wishes() == []
    actions = [(row["action"], row["who"]) for row in engine.store.audited()]
    assert {action for action, _ in actions} == {"start", "cancel"}
    assert ("start", "me") in actions


def test_run_keeps_its_numbers_as_others_are_added(engine: Engine, record: Record) -> None:
    first = engine.submit(record())
    finish(engine)
    second = engine.submit(record())
    finish(engine)
    assert (first, second) == (1, 2)
    assert engine.store.runs(limit=1)[0]["run_id"] == 2
    assert engine.store.runs(job="other") == []


def test_page_of_a_run_shows_its_tasks_and_links_their_logs(engine: Engine, record: Record) -> None:
    made = record("raise ValueError('<no>')")
    engine.submit(made)
    finish(engine)
    page = (Path(made.folder) / "index.html").read_text()
    assert "<title>Daily, run 1</title>" in page
    assert 'href="t.1.log"' in page
    assert "exit code 1: ValueError: &lt;no&gt;" in page
    assert page.count("<rect") == 1
    assert "<script" not in page


def test_notifications_are_kept_and_posted(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[dict[str, object]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            posted.append(json.loads(self.rfile.read(size)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WEBHOOK_OPS_ROOM", f"http://127.0.0.1:{server.server_port}/x")
    settings = {
        "email_notifications": {"on_failure": ["me@example.com"], "on_success": ["no"]},
        "webhook_notifications": {"on_start": [{"id": "ops-room"}]},
    }
    with engine_in(tmp_path / "state") as engine:
        engine.submit(record("raise SystemExit(1)", settings=settings))
        finish(engine)
    server.shutdown()
    lines = (tmp_path / "state" / "notifications.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [(t["event_type"], t["email"], t["webhooks"]) for t in told] == [
        ("job.on_start", [], ["ops-room"]),
        ("job.on_failure", ["me@example.com"], []),
    ]
    assert told[1]["run"] == {"run_id": 1, "state": "FAILED", "message": ""}
    assert [message["event_type"] for message in posted] == ["job.on_start"]


def test_canceled_runs_are_told_unless_it_is_switched_off(
    engine: Engine, record: Record, tmp_path: Path
) -> None:
    settings: dict[str, object] = {"email_notifications": {"on_failure": ["me"]}}
    for quiet in (False, True):
        settings["notification_settings"] = {"no_alert_for_canceled_runs": quiet}
        engine.cancel(engine.submit(record(WAIT, settings=dict(settings))))
        finish(engine)
    lines = (tmp_path / "state" / "notifications.jsonl").read_text().splitlines()
    assert len(lines) == 1


def test_run_that_takes_too_long_is_told_while_it_runs(
    engine: Engine, record: Record, tmp_path: Path
) -> None:
    rule = {"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 0}
    settings = {
        "health": {"rules": [rule]},
        "email_notifications": {"on_duration_warning_threshold_exceeded": ["me"]},
    }
    engine.submit(record(WAIT, settings=settings))
    engine.wait(0.05)
    (line,) = (tmp_path / "state" / "notifications.jsonl").read_text().splitlines()
    assert json.loads(line)["event_type"] == "job.on_duration_warning_threshold_exceeded"
    (tmp_path / "go").touch()
    assert finish(engine) == ["SUCCESS"]


def test_lineage_is_what_openlineage_reads(record: Record, tmp_path: Path) -> None:
    changes: list[Change] = []
    with engine_in(tmp_path / "state", (changes.append,)) as engine:
        engine.submit(record("raise SystemExit('bad')"))
        finish(engine)
    flush()
    lines = (tmp_path / "state" / "lineage.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        run, job = event["run"], event["job"]
        RunEvent(
            eventTime=event["eventTime"],
            eventType=RunState[event["eventType"]],
            run=LineageRun(runId=run["runId"]),
            job=LineageJob(namespace=job["namespace"], name=job["name"]),
            producer=event["producer"],
        )
    shown = [(e["eventType"], e["job"]["name"]) for e in events]
    assert shown == [
        ("START", "daily"),
        ("START", "daily.t"),
        ("FAIL", "daily.t"),
        ("FAIL", "daily"),
    ]
    assert events[0]["run"]["runId"] == events[3]["run"]["runId"]
    assert events[1]["run"]["runId"] == events[2]["run"]["runId"]
    parent = events[1]["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == events[0]["run"]["runId"]
    assert events[2]["run"]["facets"]["errorMessage"]["message"] == "exit code 1: bad"
    assert events[0]["job"]["facets"]["ownership"]["owners"] == [{"name": "me"}]


def test_record_of_a_run_is_kept_whole(engine: Engine, record: Record) -> None:
    made = replace(record(), parameters={"a": "b"}, parent=(3, "x"), jobs={5: record().job})
    run_id = engine.store.add(made, State.PENDING)
    assert engine.store.record(run_id) == made
