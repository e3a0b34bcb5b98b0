"""The control flow, event by event: no process, no clock."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.control import Flow
from workflows.events import (
    Cancel,
    Command,
    Ended,
    Event,
    Expanded,
    Run,
    Start,
    Stop,
    Tick,
)
from workflows.model import Dependency, Job, Task
from workflows.states import State as S


def task(key: str, *after: str, **settings: object) -> Task:
    """A task; `after` may name an outcome, as `check=true`."""
    dependencies = tuple(
        Dependency(name, outcome or None)
        for name, _, outcome in (entry.partition("=") for entry in after)
    )
    kind = str(settings.pop("kind", "spark_python_task"))
    return Task(key, kind, depends_on=dependencies, **settings)  # type: ignore[arg-type]


def loop(key: str, *after: str, concurrency: int = 1, retries: int = 0, **settings: object) -> Task:
    inner = Task(f"{key}_it", "spark_python_task", max_retries=retries)
    spec = {"concurrency": concurrency}
    return task(key, *after, kind="for_each_task", loop=inner, spec=spec, **settings)


class Play:
    """A run that a test leads; it remembers every start in order."""

    def __init__(self, *tasks: Task, room: int = 99, **settings: object) -> None:
        self.flow = Flow(Job("job", tasks, **settings), room)  # type: ignore[arg-type]
        self.now = 0.0
        self.run = self.flow.new(self.now)
        self.started: list[str] = []
        self.stopped: list[str] = []
        self(Tick())

    def __call__(self, event: Event) -> "Play":
        self.run, commands = self.flow.step(self.run, event, self.now)
        self.started += [c.unit for c in commands if isinstance(c, Start)]
        self.stopped += [c.unit for c in commands if isinstance(c, Stop)]
        return self

    def end(self, *units: str, state: S = S.SUCCESS, outcome: str = "") -> "Play":
        for unit in units:
            self(Ended(unit, self.run.units[unit].attempt, state, outcome, "said"))
        return self

    def at(self, now: float) -> "Play":
        self.now = now
        return self(Tick())

    def states(self) -> dict[str, S]:
        return {key: unit.state for key, unit in self.run.units.items()}


def test_tasks_start_when_what_they_wait_for_has_ended() -> None:
    play = Play(task("a"), task("b"), task("c", "a", "b"))
    assert play.started == ["a", "b"]
    assert play.end("a").started == ["a", "b"]
    assert play.end("b").started == ["a", "b", "c"]
    assert play.end("c").run.state is S.SUCCESS


def test_room_limits_processes_and_not_conditions() -> None:
    play = Play(task("a"), task("b"), task("if", kind="condition_task"), room=1)
    assert play.started == ["a", "if"]
    assert play.end("a").started == ["a", "if", "b"]


def test_failure_passes_down_and_other_branches_go_on() -> None:
    play = Play(task("a"), task("b", "a"), task("c", "b"), task("other"))
    play.end("a", state=S.FAILED).end("other")
    assert play.states() == {
        "a": S.FAILED,
        "b": S.UPSTREAM_FAILED,
        "c": S.UPSTREAM_FAILED,
        "other": S.SUCCESS,
    }
    assert play.run.state is S.FAILED
    assert play.run.units["c"].message == "b: UPSTREAM_FAILED"


def test_the_branch_that_a_condition_did_not_take_is_excluded_and_the_join_runs() -> None:
    play = Play(
        task("check", kind="condition_task"),
        task("yes", "check=true"),
        task("no", "check=false"),
        task("after_no", "no"),
        task("join", "yes", "no"),
    )
    play.end("check", outcome="true")
    assert play.started == ["check", "yes"]
    assert play.states()["after_no"] is S.EXCLUDED
    assert play.end("yes").started[-1] == "join"
    assert play.end("join").run.state is S.SUCCESS


def test_a_condition_that_failed_takes_no_branch() -> None:
    play = Play(task("check", kind="condition_task"), task("yes", "check=true"))
    play.end("check", state=S.FAILED)
    assert play.states()["yes"] is S.UPSTREAM_FAILED


def test_retries_wait_from_start_to_start_and_end() -> None:
    play = Play(task("a", max_retries=2, min_retry_interval_millis=5000))
    play.now = 3
    play.end("a", state=S.FAILED)
    assert play.states()["a"] is S.WAITING
    assert play.flow.wake_at(play.run) == 5
    assert play.at(4.9).started == ["a"]
    assert play.at(5).started == ["a", "a"]
    play.now = 20  # the interval is over when this one fails
    assert play.end("a", state=S.FAILED).started == ["a"] * 3
    assert play.end("a", state=S.FAILED).run.state is S.FAILED
    assert play.run.units["a"].attempt == 3


def test_retries_without_end() -> None:
    play = Play(task("a", max_retries=-1))
    for _ in range(50):
        play.end("a", state=S.FAILED)
    assert play.end("a").run.state is S.SUCCESS
    assert play.run.units["a"].attempt == 51


def test_what_follows_a_stopped_task_waits_until_it_is_gone() -> None:
    play = Play(task("a", timeout_seconds=10), task("b", "a", run_if="ALL_DONE"))
    assert play.flow.wake_at(play.run) == 10
    play.at(10)
    assert (play.stopped, play.started) == (["a"], ["a"])
    assert play.states()["a"] is S.STOPPING
    play.end("a")  # its exit code does not matter any more
    assert play.states()["a"] is S.TIMEDOUT
    assert play.started == ["a", "b"]
    assert play.end("b").run.state is S.SUCCESS_WITH_FAILURES


def test_timeout_is_retried_only_when_asked() -> None:
    once = Play(task("a", timeout_seconds=10, max_retries=1)).at(10).end("a")
    assert once.run.state is S.FAILED
    again = Play(task("a", timeout_seconds=10, max_retries=1, retry_on_timeout=True))
    assert again.at(10).end("a").started == ["a", "a"]
    assert again.at(20).end("a").states()["a"] is S.TIMEDOUT


def test_timeout_of_the_job_ends_what_runs_and_starts_nothing_more() -> None:
    play = Play(task("a", max_retries=3), task("b", "a", run_if="ALL_DONE"), timeout_seconds=60).at(
        60
    )
    assert play.stopped == ["a"]
    play.end("a", state=S.FAILED)
    assert play.states() == {"a": S.TIMEDOUT, "b": S.CANCELED}
    assert play.run.state is S.TIMEDOUT


def test_canceled_run_ends_when_nothing_runs_any_more() -> None:
    play = Play(task("a"), task("b", "a"), task("c"))(Cancel())
    assert play.stopped == ["a", "c"]
    assert play.run.state is S.RUNNING
    assert play.end("a", "c").run.state is S.CANCELED
    assert set(play.states().values()) == {S.CANCELED}


def test_canceled_task_passes_it_down_but_cleaning_up_runs() -> None:
    play = Play(
        task("a", max_retries=5),
        task("b", "a"),
        task("clean", "a", run_if="AT_LEAST_ONE_FAILED"),
    )
    play(Cancel("a")).end("a", state=S.FAILED)
    assert play.states()["b"] is S.UPSTREAM_CANCELED
    assert play.started == ["a", "clean"]
    assert play.end("clean").run.state is S.CANCELED


def test_disabled_task_is_left_out_with_what_needs_it() -> None:
    play = Play(task("a", disabled=True), task("b", "a"), task("c", "a", run_if="ALL_DONE"))
    assert play.started == ["c"]
    assert play.states()["b"] is S.DISABLED
    assert play.end("c").run.state is S.SUCCESS


def test_task_that_cannot_run_here_is_skipped_and_what_follows_runs() -> None:
    flow = Flow(Job("job", (task("a", kind="dbt_task"), task("b", "a"))), 9, frozenset({"a"}))
    run, commands = flow.step(flow.new(0), Tick(), 0)
    assert run.units["a"].state is S.SKIPPED
    assert commands == [Start("b", 1)]


def test_loop_runs_its_inputs_with_the_concurrency_asked_for() -> None:
    play = Play(loop("each", concurrency=2), task("b", "each"))
    play(Expanded("each", 4))
    assert play.started == ["each", "each[0]", "each[1]"]
    play.end("each[1]")
    assert play.started[3:] == ["each[2]"]
    play.end("each[0]", "each[2]", "each[3]")
    assert play.started[-1] == "b"
    assert play.end("b").run.state is S.SUCCESS


def test_loop_goes_on_after_a_failed_iteration_and_fails_at_the_end() -> None:
    play = Play(loop("each", retries=1))(Expanded("each", 3))
    play.end("each[0]", state=S.FAILED).end("each[0]", state=S.FAILED)
    play.end("each[1]", "each[2]")
    assert play.run.state is S.FAILED
    assert play.run.units["each"].message == "1 of 3 iterations did not succeed"
    assert play.run.units["each[0]"].attempt == 2


def test_loop_without_inputs_succeeds() -> None:
    assert Play(loop("each"))(Expanded("each", 0)).run.state is S.SUCCESS


def test_canceled_loop_ends_when_its_iterations_have() -> None:
    play = Play(loop("each", concurrency=2))(Expanded("each", 3))(Cancel())
    assert play.stopped == ["each[0]", "each[1]"]
    assert play.end("each[0]").run.state is S.RUNNING
    assert play.end("each[1]").run.state is S.CANCELED


def test_repair_runs_what_failed_and_what_depends_on_it() -> None:
    play = Play(task("a"), task("b", "a"), task("c", "b"), task("d", "a"))
    play.end("a").end("b", state=S.FAILED).end("d")
    play.run = play.flow.repaired(play.run, 100)
    play.now = 100
    play.started.clear()
    assert play(Tick()).started == ["b"]
    assert play.run.units["b"].attempt == 2
    assert play.end("b", "c").run.state is S.SUCCESS


def test_repair_keeps_the_branches_taken_and_the_iterations_that_succeeded() -> None:
    play = Play(
        task("check", kind="condition_task"),
        task("no", "check=false"),
        task("join", "check=true", "no", run_if="NONE_FAILED"),
        loop("each", "join"),
    )
    play.end("check", outcome="true").end("join")(Expanded("each", 3))
    play.end("each[0]").end("each[1]", state=S.FAILED).end("each[2]")
    play.run = play.flow.repaired(play.run, 100)
    play.started.clear()
    play(Tick())(Expanded("each", 3))
    assert play.started == ["each", "each[1]"]
    assert play.end("each[1]").run.state is S.SUCCESS


def test_repair_after_a_changed_task_runs_every_iteration() -> None:
    play = Play(task("a"), loop("each", "a", run_if="ALL_DONE"))
    play.end("a", state=S.FAILED)(Expanded("each", 1)).end("each[0]")
    play.run = play.flow.repaired(play.run, 100)
    play.started.clear()
    play(Tick()).end("a")(Expanded("each", 1))
    assert play.started == ["a", "each", "each[0]"]


def test_run_taken_up_starts_what_ran_again_and_nothing_that_ended() -> None:
    play = Play(task("a"), task("b", max_retries=0), loop("each"), task("c", "a", "b", "each"))(
        Expanded("each", 2)
    )
    play.end("a", "each[0]")
    play.run = play.flow.resumed(play.run)
    play.started.clear()
    play(Tick())
    assert sorted(play.started) == ["b", "each[1]"]
    assert play.run.units["b"].attempt == 2
    assert play.end("b", "each[1]", "c").run.state is S.SUCCESS


def test_run_taken_up_ends_what_was_being_stopped() -> None:
    play = Play(task("a"), task("b", "a"))(Cancel())
    play.run = play.flow.resumed(play.run)
    assert play(Tick()).run.state is S.CANCELED


def test_answers_of_earlier_attempts_are_ignored() -> None:
    play = Play(task("a", max_retries=1)).end("a", state=S.FAILED)
    play(Ended("a", 1, S.SUCCESS))
    assert play.states()["a"] is S.RUNNING


KINDS = ("spark_python_task", "condition_task")
RUN_IFS = (
    "ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED",
    "ALL_FAILED",
)  # fmt: skip


@st.composite
def jobs(draw: Callable) -> Job:  # type: ignore[type-arg]
    """Any job of up to seven tasks, with loops, conditions, retries and timeouts."""
    tasks: list[Task] = []
    for number in range(draw(st.integers(1, 7))):
        key = f"t{number}"
        before = [t for t in tasks if draw(st.booleans())]
        after = tuple(
            Dependency(t.key, draw(st.sampled_from(["true", "false"])))
            if t.kind == "condition_task" and draw(st.booleans())
            else Dependency(t.key)
            for t in before
        )
        shared = {
            "depends_on": after,
            "run_if": draw(st.sampled_from(RUN_IFS)) if after else "ALL_SUCCESS",
            "disabled": draw(st.integers(0, 9)) == 0,
        }
        if draw(st.integers(0, 3)) == 0:
            made = loop(key, concurrency=draw(st.integers(1, 2)), retries=draw(st.integers(0, 1)))
        else:
            made = task(
                key,
                kind=draw(st.sampled_from(KINDS)),
                max_retries=draw(st.integers(0, 2)),
                timeout_seconds=draw(st.sampled_from([0, 5])),
                retry_on_timeout=draw(st.booleans()),
            )
        tasks.append(replace(made, **shared))
    return Job("job", tuple(tasks), timeout_seconds=draw(st.sampled_from([0, 30])))


@settings(max_examples=400, deadline=None)
@given(jobs(), st.integers(1, 3), st.data())
def test_whatever_happens_every_run_ends_and_keeps_its_promises(
    job: Job, room: int, data: st.DataObject
) -> None:
    flow = Flow(job, room)
    now, run, open_units = 0.0, flow.new(0.0), dict[str, int]()
    pending: list[Event] = [Tick()]
    ends: dict[str, S] = {}
    for moment in range(300):
        calm = moment > 60  # from here on processes end, or a history of ticks alone would not
        event = pending.pop(0) if pending else _next(data, open_units, run, calm)
        now += data.draw(st.sampled_from([0, 1, 3]))
        wake = flow.wake_at(run)
        if isinstance(event, Tick) and wake is not None:
            now = max(now, wake)
        if isinstance(event, Ended):
            open_units.pop(event.unit, None)
        before = run
        run, commands = flow.step(run, event, now)
        for key, unit in before.units.items():  # what has ended stays as it ended
            assert not unit.state.ended or run.units[key] == unit or "[" in key
        _obey(commands, flow, open_units, pending, data, run)
        busy = [k for k in open_units if flow.task(k).kind == "spark_python_task"]
        assert len(busy) <= room
        ends |= {k: u.state for k, u in run.units.items() if u.state.ended and "[" not in k}
        if run.state.ended:
            break
    assert run.state.ended, run
    assert not open_units
    assert flow.step(run, Tick(), now + 1e6) == (run, [])
    assert flow.wake_at(replace(run, verdict=S.CANCELED)) is None
    resumed = flow.resumed(run)
    assert resumed.units == run.units


def _obey(
    commands: list[Command],
    flow: Flow,
    open_units: dict[str, int],
    pending: list[Event],
    data: st.DataObject,
    run: Run,
) -> None:
    for command in commands:
        if isinstance(command, Stop):
            assert command.unit in open_units
        elif flow.task(command.unit).kind == "for_each_task":
            pending.append(Expanded(command.unit, data.draw(st.integers(0, 3))))
        else:
            assert command.unit not in open_units
            assert run.units[command.unit].attempt == command.attempt
            open_units[command.unit] = command.attempt


def _next(data: st.DataObject, open_units: dict[str, int], run: Run, calm: bool) -> Event:
    """A process ends, time passes, or now and then someone cancels."""
    what = 2 if calm else data.draw(st.integers(0, 19))
    if what == 0:
        return Cancel(data.draw(st.sampled_from([None, *run.units])))
    if not open_units or what == 1:
        return Tick()
    unit = data.draw(st.sampled_from(sorted(open_units)))
    state = data.draw(st.sampled_from([S.SUCCESS, S.SUCCESS, S.FAILED]))
    outcome = data.draw(st.sampled_from(["true", "false"]))
    return Ended(unit, open_units[unit], state, outcome)
