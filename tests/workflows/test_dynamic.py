"""Dynamic values, filled in and refused."""

from datetime import UTC, datetime

import pytest

from workflows.dynamic import Time, UnknownValueError, filled, problem, references

FACTS = {
    "job": {
        "id": 7,
        "name": "daily",
        "run_id": 8,
        "parameters": {"day": "2026-01-02", "a.b": "dotted"},
        "start_time": Time(datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
    },
    "task": {"name": "load", "run_id": 9, "retry_count": 1},
    "tasks": {"a": {"values": {"n": 3, "flag": True, "list": [1, "x"]}, "result_state": "success"}},
    "input": {"k": "v"},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{job.id}}", "7"),
        ("run-{{ job.run_id }}-x", "run-8-x"),
        ("{{job.parameters.day}}", "2026-01-02"),
        ("{{job.parameters.`a.b`}}", "dotted"),
        ("{{job.parameters.[day]}}", "2026-01-02"),
        ("{{job.start_time.iso_date}}", "2026-01-02"),
        ("{{job.start_time.iso_datetime}}", "2026-01-02T03:04:05Z"),
        ("{{job.start_time.timestamp_ms}}", "1767323045678"),
        ("{{job.start_time.is_weekday}} {{job.start_time.iso_weekday}}", "true 5"),
        ("{{job.start_time.year}}-{{job.start_time.month}}", "2026-1"),
        ("{{tasks.a.values.n}}{{tasks.a.values.flag}}", "3true"),
        ("{{tasks.a.values.list}}", '[1, "x"]'),
        ("{{tasks.a.result_state}}", "success"),
        ("{{input}} {{input.k}}", '{"k": "v"} v'),
        ("{{job_id}} {{run_id}} {{task_key}} {{task_retry_count}}", "7 9 load 1"),
        ("{{start_date}} {{parent_run_id}}", "2026-01-02 8"),
        ("{{my.value}} {{job.id} {job.id}}", "{{my.value}} {{job.id} {job.id}}"),
        ("{{secrets/scope/key}}", "{{secrets/scope/key}}"),
    ],
)
def test_references_are_filled_in(text: str, wanted: str) -> None:
    assert filled([{"k": text}], FACTS) == [{"k": wanted}]


def test_a_value_that_was_not_set_is_named() -> None:
    with pytest.raises(UnknownValueError, match=r"\{\{tasks.a.values.other\}\} has no value"):
        filled("{{tasks.a.values.other}}", FACTS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{job.naem}}", "is no dynamic value; did you mean 'job.name'"),
        ("{{job.start_time}}", "is no dynamic value"),
        ("{{tasks.b.values.x}}", "names no task that runs before"),
        ("{{job.parameters.dax}}", "names no parameter of the job; did you mean 'day'"),
        ("{{input}}", "outside the task of a for_each_task"),
    ],
)
def test_reference_of_a_known_namespace_must_be_one(text: str, says: str) -> None:
    (parts,) = references(text)
    said = problem(parts, tasks={"a"}, parameters=["day"], in_loop=False)
    assert said is not None
    assert says in said


@pytest.mark.parametrize("text", ["{{my.value}}", "{{tasks.a.values.x}}", "{{job.parameters.day}}"])
def test_reference_that_is_right_or_none_is_let_through(text: str) -> None:
    (parts,) = references(text)
    assert problem(parts, tasks={"a"}, parameters=["day"], in_loop=False) is None
