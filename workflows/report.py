"""The page of a run: its graph, when what ran, how it ended, with links to logs and pages."""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from workflows.events import Run, Unit
from workflows.model import Job
from workflows.page import STYLE
from workflows.records import RunRecord
from workflows.states import OK, State

BOX, GAP, ROW, PAD = 170, 50, 56, 8  # pixels
COLOURS = {
    State.SUCCESS: "#2f9e44",
    State.SUCCESS_WITH_FAILURES: "#e8a200",
    State.FAILED: "#e03131",
    State.TIMEDOUT: "#e03131",
    State.CANCELED: "#868e96",
    State.RUNNING: "#1971c2",
}
OTHER = "#adb5bd"
MORE = """
.graph text { font: 12px system-ui, sans-serif; fill: currentColor; }
.graph path { fill: none; stroke: #8888; }
.bar { height: .7rem; border-radius: .2rem; min-width: 2px; }
td.time { width: 40%; } .state { font-weight: 600; }
"""


def write_report(run_id: int, record: RunRecord, run: Run, attempts: list[dict[str, Any]]) -> Path:
    """Write `index.html` into the run's folder; its path."""
    file = Path(record.folder) / "index.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render(run_id, record, run, attempts), encoding="utf-8")
    return file


def render(run_id: int, record: RunRecord, run: Run, attempts: list[dict[str, Any]]) -> str:
    """The page: no script, no file beside it, light and dark."""
    job = record.job
    title = f"{job.name or job.key}, run {run_id}"
    facts = {
        "state": f"{run.state} {run.message}".strip(),
        "started by": f"{record.user}, {record.trigger.get('type', '')}",
        "bundle": f"{record.bundle}, target {record.target}",
        "seconds": f"{(run.ended_at or run.started_at) - run.started_at:.1f}",
        "repairs": str(record.repair_count),
        **{f"parameter {key}": value for key, value in record.parameters.items()},
    }
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td>{escape(text)}</td></tr>" for key, text in facts.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{MORE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n<table>{rows}</table>\n"
        f"<h2>Graph</h2>\n{_graph(job, run)}\n<h2>Attempts</h2>\n"
        f"{_attempts(Path(record.folder), run, attempts)}\n</main>\n</body>\n</html>\n"
    )


def _levels(job: Job) -> dict[str, int]:
    """How many tasks stand before each, on the longest way."""
    levels: dict[str, int] = {}
    for task in job.tasks:
        levels[task.key] = max((levels[d.task_key] + 1 for d in task.depends_on), default=0)
    return levels


def _graph(job: Job, run: Run) -> str:
    levels = _levels(job)
    filled: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for key, level in levels.items():
        row = filled.get(level, 0)
        filled[level] = row + 1
        places[key] = (PAD + level * (BOX + GAP), PAD + row * ROW)
    width = 2 * PAD + (max(filled, default=0) + 1) * (BOX + GAP) - GAP
    height = 2 * PAD + max(filled.values(), default=0) * ROW
    parts = [*_edges(job, places), *_boxes(places, run.units)]
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<div class="output"><svg class="graph" {size}>{"".join(parts)}</svg></div>'


def _edges(job: Job, places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    for task in job.tasks:
        x, y = places[task.key]
        for entry in task.depends_on:
            left, top = places[entry.task_key]
            start, end, middle = left + BOX, x, (left + BOX + x) // 2
            a, b = top + 20, y + 20
            yield f'<path d="M{start} {a} C{middle} {a} {middle} {b} {end} {b}"/>'


def _boxes(places: Mapping[str, tuple[int, int]], units: Mapping[str, Unit]) -> Iterator[str]:
    for key, (x, y) in places.items():
        unit = units.get(key, Unit())
        colour = COLOURS.get(unit.state, OTHER)
        said = escape(f"{key}: {unit.state} {unit.message}")
        shown = escape(key if len(key) < 23 else f"{key[:21]}…")
        yield (
            f'<g><title>{said}</title><rect x="{x}" y="{y}" width="{BOX}" height="40" rx="6" '
            f'fill="{colour}22" stroke="{colour}"/><text x="{x + 8}" y="{y + 17}">{shown}</text>'
            f'<text x="{x + 8}" y="{y + 33}" opacity=".7">{escape(unit.state)}</text></g>'
        )


def _attempts(folder: Path, run: Run, attempts: list[dict[str, Any]]) -> str:
    begin = min((a["started_at"] for a in attempts), default=0.0)
    ends = (a["ended_at"] or a["started_at"] for a in attempts)
    span = max(max(ends, default=begin) - begin, 0.001)
    rows = "".join(_attempt(folder, attempt, begin, span) for attempt in attempts)
    head = "<tr><th>task</th><th>state</th><th>seconds</th><th></th><th></th><th></th></tr>"
    left_out = "".join(
        f"<li>{escape(key)}: {unit.state} ({escape(unit.message)})</li>"
        for key, unit in run.units.items()
        if not unit.attempt and unit.state not in OK - {State.EXCLUDED}
    )
    more = f"<h2>Not started</h2>\n<ul>{left_out}</ul>" if left_out else ""
    return f'<div class="output"><table>{head}{rows}</table></div>\n{more}'


def _attempt(folder: Path, attempt: Mapping[str, Any], begin: float, span: float) -> str:
    name = f"{attempt['unit']}.{attempt['attempt']}"
    seconds = (attempt["ended_at"] or attempt["started_at"]) - attempt["started_at"]
    colour = COLOURS.get(State(attempt["state"]), OTHER)
    offset, width = (100 * part / span for part in (attempt["started_at"] - begin, seconds))
    links = " ".join(
        f'<a href="{escape(str(file.relative_to(folder)))}">{what}</a>'
        for what, file in (
            ("log", folder / f"{name}.log"),
            ("page", folder / f"{name}.html"),
            ("run", folder / name / "index.html"),
        )
        if file.exists()
    )
    style = f"margin-left:{offset:.1f}%;width:{width:.1f}%;background:{colour}"
    bar = f'<div class="bar" style="{style}">'
    return (
        f'<tr><td>{escape(name)}</td><td class="state">{escape(attempt["state"])}</td>'
        f'<td>{seconds:.2f}</td><td class="time">{bar}</div></td><td>{links}</td>'
        f"<td>{escape(attempt['message'])}</td></tr>"
    )
