"""What a target's mode and presets make of every job, as a deployment does."""

from pipelines.errors import BundleError
from workflows.references import hint
from workflows.tree import Node, merge, planted

STARTS = ("schedule", "continuous", "trigger")
MODES = ("development", "production")


def presets_of(presets: Node, mode: Node, user: str) -> Node:
    """The target's presets; mode `development` adds its own where the target says nothing."""
    if mode.text("production") not in MODES:
        raise BundleError(f"{mode.where}: unknown mode '{mode.value}'; {hint(mode.text(), MODES)}")
    if mode.value != "development":
        return presets
    own = planted(
        {
            "name_prefix": f"[dev {user}] ",
            "trigger_pause_status": "PAUSED",
            "tags": {"dev": user},
            "jobs_max_concurrent_runs": 4,
        },
        mode,
    )
    return merge(own, presets, {}) if presets.value else own


def with_presets(job: Node, presets: Node) -> Node:
    """The job under the presets; what the job itself insists on stays."""
    changed = dict(job.items)
    pause, prefix = presets.get("trigger_pause_status"), presets.get("name_prefix")
    for start in STARTS:
        if start not in changed or pause.value is None:
            continue
        if changed[start].get("pause_status").value != "UNPAUSED":
            settings = {**changed[start].items, "pause_status": pause}
            changed[start] = changed[start].with_value(settings)
    if prefix.value is not None and "name" in changed:
        changed["name"] = changed["name"].with_value(prefix.text() + changed["name"].text())
    if presets.get("tags").items:
        own = job.get("tags").with_value(job.get("tags").items)
        changed["tags"] = merge(presets.get("tags"), own, {})
    if presets.get("jobs_max_concurrent_runs").value and "max_concurrent_runs" not in changed:
        changed["max_concurrent_runs"] = presets.get("jobs_max_concurrent_runs")
    return job.with_value(changed)
