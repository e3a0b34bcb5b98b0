"""OpenLineage events of every run and task, to a file or an HTTP endpoint.

https://openlineage.io/spec/2-0-2/OpenLineage.json; the events are plain JSON, so that no client
library is loaded with every run.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workflows.active import Change
from workflows.post import post_later
from workflows.states import State

PRODUCER = "urn:retail-lakehouse:workflows"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets/1-0-1/"
TYPES = {
    State.RUNNING: "START",
    State.SUCCESS: "COMPLETE",
    State.SUCCESS_WITH_FAILURES: "COMPLETE",
    State.SKIPPED: "COMPLETE",
    State.FAILED: "FAIL",
    State.TIMEDOUT: "FAIL",
    State.CANCELED: "ABORT",
}


class Lineage:
    """Listens to an engine and writes its events.

    Args:
        target: a file, or the URL of an endpoint such as Marquez's `/api/v1/lineage`.
    """

    def __init__(self, target: str) -> None:
        self._target = target

    def __call__(self, change: Change) -> None:
        """Write the event of a change, if it is one."""
        kind = TYPES.get(change.state)
        if kind is None:
            return
        event = event_of(kind, change)
        if self._target.startswith(("http://", "https://")):
            post_later(self._target, event)
        else:
            with Path(self._target).open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")


def event_of(kind: str, change: Change) -> dict[str, Any]:
    """One event: the job's own, or a task's with the job's run as its parent."""
    record = change.record
    namespace = f"{record.bundle or 'bundle'}/{record.target or 'default'}"
    facets: dict[str, Any] = {
        "processing_engine": _facet(
            "ProcessingEngineRunFacet", {"version": "1", "name": "workflows"}
        )
    }
    name = record.job.key
    if change.unit is not None:
        task = change.unit.partition("[")[0]
        name = f"{record.job.key}.{task}"
        facets["parent"] = _facet(
            "ParentRunFacet",
            {
                "run": {"runId": run_uuid(record.folder)},
                "job": {"namespace": namespace, "name": record.job.key},
            },
        )
    if kind == "FAIL":
        facets["errorMessage"] = _facet(
            "ErrorMessageRunFacet", {"message": change.message, "programmingLanguage": "python"}
        )
    job_type = {"processingType": "BATCH", "integration": "WORKFLOWS", "jobType": _type(change)}
    return {
        "eventTime": datetime.now(UTC).isoformat(),
        "eventType": kind,
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": run_uuid(record.folder, change.unit, change.attempt), "facets": facets},
        "job": {
            "namespace": namespace,
            "name": name,
            "facets": {
                "jobType": _facet("JobTypeJobFacet", job_type),
                "ownership": _facet("OwnershipJobFacet", {"owners": [{"name": record.user}]}),
            },
        },
        "inputs": [],
        "outputs": [],
    }


def run_uuid(folder: str, unit: str | None = None, attempt: int = 0) -> str:
    """The id of a run, or of an attempt at a unit of it: the same whenever it is asked for."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{folder}/{unit or ''}/{attempt}"))


def _type(change: Change) -> str:
    return "JOB" if change.unit is None else "TASK"


def _facet(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}{name}.json#/$defs/{name}", **values}
