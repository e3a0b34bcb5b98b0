"""Runs jobs: takes the steps of their control flow, keeps their state, and starts their processes.

One thread. What happened is saved before anything is started because of it, so a runner may be
killed at any point and another goes on.
"""

import getpass
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from workflows.active import HERE, Active, Change, Changed, Listener, Watcher, flow_of
from workflows.control import Flow
from workflows.dynamic import UnknownValueError
from workflows.events import Cancel, Command, Ended, Event, Run, Start, Stop, Tick
from workflows.launch import Launched, Launcher
from workflows.processes import Processes
from workflows.records import RunRecord
from workflows.report import write_report
from workflows.states import State
from workflows.store import Store

LOOK_SECONDS = 1.0  # how often we look for what others ask of us


class Engine:
    """Runs any number of runs side by side, until they have ended or `close` is called."""

    def __init__(
        self,
        store: Store,
        *,
        listeners: tuple[Listener, ...] = (),
        watchers: tuple[Watcher, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._listeners = listeners
        self._watchers = watchers
        self._clock = clock
        self._processes = Processes(store.file.with_name("spark.log"))
        self._launcher = Launcher(store.file, self._processes, self._start_child)
        self._active: dict[int, Active] = {}
        self._queued: dict[int, str] = {}

    def submit(self, record: RunRecord) -> int:
        """Start a run if its job has room for one more; else it waits, or is skipped.

        Returns:
            the run's number.
        """
        record = replace(record, started=record.started or self._clock())
        with self.store.transaction():
            busy = len(self.store.running(record.job.key))
            room = record.parent is not None or busy < record.job.max_concurrent_runs
            state = State.RUNNING if room else State.QUEUED if record.job.queued else State.NO_ROOM
            run_id = self.store.add(record, state)
            self.store.own(run_id)
            if state is State.NO_ROOM:
                self.store.set_state(run_id, state, "as many runs of the job go on as may")
            self.store.audit(record.user, "start", run_id, f"{record.job.key} {state}")
        if state is State.RUNNING:
            self._begin(run_id, record)
        else:
            self._tell(Change(run_id, record, None, state))
        if state is State.QUEUED:
            self._queued[run_id] = record.job.key
        return run_id

    def resume(self, run_id: int) -> None:
        """Go on with a run whose runner has died."""
        self.store.audit(getpass.getuser(), "resume", run_id)
        record, run = self._kept(run_id), self.store.load(run_id)
        if run is None:
            self.store.own(run_id)
            self._queued[run_id] = record.job.key
            self._start_queued()
            return
        flow = flow_of(record)
        self._enter(run_id, record, flow, flow.resumed(run))

    def repair(self, run_id: int, parameters: Mapping[str, str] | None = None) -> None:
        """Run again what did not succeed and what depends on it, with the parameters kept."""
        record, run = self._kept(run_id), self.store.load(run_id)
        given = {**record.parameters, **(parameters or {})}
        record = replace(record, repair_count=record.repair_count + 1, parameters=given)
        flow = flow_of(record)
        again = flow.repaired(run, self._clock()) if run else flow.new(self._clock())
        self.store.update_record(run_id, record)
        self.store.audit(getpass.getuser(), "repair", run_id, str(record.repair_count))
        self._enter(run_id, record, flow, again)

    def cancel(self, run_id: int, unit: str | None = None) -> None:
        """End a run, or one task of it."""
        self.store.audit(getpass.getuser(), "cancel", run_id, unit or "")
        if run_id in self._active:
            self._active[run_id].waiting.append(Cancel(unit))
            self._settle(run_id)
        elif self._queued.pop(run_id, None):
            self.store.set_state(run_id, State.CANCELED, "the run was canceled")

    def active(self) -> list[int]:
        """The runs that go on here."""
        return [*self._active]

    def wait(self, seconds: float | None = None) -> None:
        """Let something happen: a process end, or time pass, `seconds` at the most."""
        wakes = [a.flow.wake_at(a.run) for a in self._active.values()]
        wakes += [watcher.wake_at() for watcher in self._watchers]
        due = [max(0.0, at - self._clock()) for at in wakes if at is not None]
        limits = [*due, LOOK_SECONDS if seconds is None else min(seconds, LOOK_SECONDS)]
        for name, code in self._processes.wait(min(limits)):
            launched = self._launcher.ended(name, code)
            if launched:
                self._process_ended(launched)
        for run_id in list(self._active):
            self._tick(run_id)
        for watcher in self._watchers:
            watcher.tick()
        for run_id, unit in self.store.wishes():
            self.cancel(run_id, unit)
        if self._queued:
            self._start_queued()

    def run_until_done(self, run_id: int) -> None:
        """Wait until a run has ended."""
        while run_id in self._active or run_id in self._queued:
            self.wait()

    def close(self) -> None:
        """End every process; runs stay as they are, to be resumed."""
        self._processes.close()

    def _begin(self, run_id: int, record: RunRecord) -> None:
        Path(record.folder).mkdir(parents=True, exist_ok=True)
        flow = flow_of(record)
        self._enter(run_id, record, flow, flow.new(self._clock()))

    def _enter(self, run_id: int, record: RunRecord, flow: Flow, run: Run) -> None:
        active = Active(run_id, record, flow, run, self.store.values(run_id))
        self._active[run_id] = active
        with self.store.transaction():
            self.store.own(run_id)
            self.store.save(run_id, run, run.units.items())
        self._tell(Change(run_id, record, None, State.RUNNING))
        active.waiting.append(Tick())
        self._settle(run_id)

    def _start_child(self, record: RunRecord) -> tuple[int, Run | None]:
        """Start the run that a unit waits for, or go on with it; its number, and how it ended."""
        child = self.store.lost_child(record.parent)
        if child is None:
            child = self.submit(record)
        else:
            self.resume(child)
        return child, None if child in self._active else self.store.load(child)

    def _tick(self, run_id: int) -> None:
        active = self._active.get(run_id)
        wake = active.flow.wake_at(active.run) if active else None
        if active and wake is not None and wake <= self._clock():
            active.waiting.append(Tick())
            self._settle(run_id)

    def _settle(self, run_id: int) -> None:
        """Apply what waits; what is started may answer at once."""
        active = self._active[run_id]
        while active.waiting:
            before = active.run
            event = active.waiting.pop(0)
            active.run, commands = active.flow.step(before, event, self._clock())
            changed = list(active.changed(before))
            with self.store.transaction():
                self._note_attempts(active, changed)
                self.store.save(run_id, active.run, [(key, unit) for key, _, unit in changed])
            for change in active.told_of(changed, self._clock()):
                self._tell(change)
            for command in commands:
                self._do(active, command)
        if active.run.state.ended:
            self._end(active)

    def _note_attempts(self, active: Active, changed: list[Changed]) -> None:
        for key, old, unit in changed:
            again = unit.attempt > old.attempt
            if old.state in HERE and (again or unit.state not in HERE):
                state = (old.verdict or State.FAILED) if again else unit.state
                self.store.attempt_ended(active.run_id, key, old.attempt, state, unit.message)
            if again and unit.state is State.RUNNING:
                self.store.attempt_started(active.run_id, key, unit.attempt)

    def _do(self, active: Active, command: Command) -> None:
        if isinstance(command, Stop):
            child = self._launcher.stop(active.run_id, command.unit)
            if child is not None:
                self.cancel(child)
            return
        answer = self._start(active, command)
        if answer:
            active.waiting.append(answer)

    def _start(self, active: Active, command: Start) -> Event | None:
        task = active.flow.task(command.unit)
        try:
            return self._launcher.start(active, command, task)
        except UnknownValueError as error:
            return Ended(command.unit, command.attempt, State.FAILED, message=str(error))

    def _process_ended(self, launched: Launched) -> None:
        active = self._active.get(launched.run_id)
        if active is None:
            return
        if launched.values:
            task = launched.unit.partition("[")[0]
            self.store.set_values(launched.run_id, task, launched.values)
            active.values.setdefault(task, {}).update(launched.values)
        active.waiting.append(launched.event)
        self._settle(launched.run_id)

    def _end(self, active: Active) -> None:
        del self._active[active.run_id]
        write_report(active.run_id, active.record, active.run, self.store.attempts(active.run_id))
        self._tell(active.told(None, None, self._clock()))
        parent = self._launcher.child_ended(active.run_id, active.run)
        if parent and parent.run_id in self._active:
            self._process_ended(parent)
        self._start_queued()

    def _start_queued(self) -> None:
        """Start what waits in this process, the oldest first, as far as its job has room."""
        for run_id, job in sorted(self._queued.items()):
            record = self._kept(run_id)
            with self.store.transaction():
                busy = [other for other in self.store.running(job) if other != run_id]
                if len(busy) >= record.job.max_concurrent_runs:
                    continue
                self.store.set_state(run_id, State.RUNNING)
            del self._queued[run_id]
            self._begin(run_id, replace(record, started=self._clock()))

    def _kept(self, run_id: int) -> RunRecord:
        record = self.store.record(run_id)
        if record is None:
            raise KeyError(run_id)
        return record

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
