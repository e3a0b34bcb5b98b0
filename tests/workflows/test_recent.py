from pathlib import Path

from workflows.model import Job
from workflows.recent import recent_runs
from workflows.records import RunRecord
from workflows.runner import STORE
from workflows.states import State
from workflows.store import Store


def test_the_latest_runs_come_first_and_lost_ones_are_told(tmp_path: Path) -> None:
    assert recent_runs(tmp_path) == [] and not (tmp_path / STORE).exists()
    store = Store(tmp_path / STORE)
    job = Job(key="refresh", name="refresh", tasks=())
    record = RunRecord(job, str(tmp_path), str(tmp_path))
    done, going, lost = (store.add(record, State.RUNNING) for _ in range(3))
    store.set_state(done, State.SUCCESS, "all well")
    store.own(going)
    told = recent_runs(tmp_path)
    assert [(run["run_id"], run["is_lost"], run["has_ended"]) for run in told] == [
        (lost, True, False),
        (going, False, False),
        (done, False, True),
    ]
    assert (told[2]["state"], told[2]["message"]) == ("SUCCESS", "all well")
    assert len(recent_runs(tmp_path, limit=1)) == 1
    store.close()
