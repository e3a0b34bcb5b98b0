"""What a job may use to be run here; the rest is refused by name, before anything starts."""

from collections.abc import Iterator, Mapping

from pipelines.errors import BundleError
from workflows.bundle import Bundle
from workflows.model import Job, Task
from workflows.task_kinds import RUNNABLE

MAX_NESTED_RUNS = 3
NEEDS_CLUSTER = ("jar", "maven", "egg", "cran")
WATCHED = ("RUN_DURATION_SECONDS",)
NEEDS_FILE = ("spark_python_task", "notebook_task", "sql_task")


def check_supported(
    bundle: Bundle, job: Job, pipelines: Mapping[str, list[str]], *, skip: bool
) -> frozenset[str]:
    """The tasks to leave out, in every job that the job runs; none unless `skip`.

    Raises:
        BundleError: a task cannot run here and `skip` is off, or jobs run each other in a circle.
    """
    jobs = _reached(bundle, job, ())
    found = {
        task.key: f"{bundle.root / 'databricks.yml'}: task '{task.key}' of job '{each.key}': {said}"
        for each in jobs
        for task in each.tasks
        if (said := _problem(task, each, bundle, pipelines))
    }
    for each in jobs:
        for rule in (each.settings.get("health") or {}).get("rules") or ():
            if rule.get("metric") not in WATCHED and not skip:
                raise BundleError(
                    f"{bundle.root / 'databricks.yml'}: job '{each.key}': the health metric "
                    f"{rule.get('metric')} is not watched here; remove it, or leave it out with "
                    "--skip-unsupported"
                )
    if found and not skip:
        said = next(iter(found.values()))
        raise BundleError(f"{said}; remove it, or leave it out with --skip-unsupported")
    return frozenset(found)


def _reached(bundle: Bundle, job: Job, chain: tuple[str, ...]) -> list[Job]:
    """The job and every job that it runs."""
    if job.key in chain:
        raise BundleError(
            f"{bundle.root / 'databricks.yml'}: jobs run each other: "
            f"{' -> '.join((*chain, job.key))}; remove one run_job_task"
        )
    if len(chain) > MAX_NESTED_RUNS:
        raise BundleError(
            f"{bundle.root / 'databricks.yml'}: jobs run each other over {MAX_NESTED_RUNS} deep: "
            f"{' -> '.join((*chain, job.key))}; flatten them"
        )
    by_id = {each.id: each for each in bundle.jobs.values()}
    found = [job]
    for task in _each(job):
        number = str(task.spec.get("job_id"))
        if task.kind == "run_job_task" and number.isdigit() and int(number) in by_id:
            found += _reached(bundle, by_id[int(number)], (*chain, job.key))
    return found


def _each(job: Job) -> Iterator[Task]:
    for task in job.tasks:
        yield task
        if task.loop:
            yield task.loop


def _problem(
    task: Task, job: Job, bundle: Bundle, pipelines: Mapping[str, list[str]]
) -> str | None:
    """Why a task cannot run here; None if it can."""
    if task.kind not in RUNNABLE:
        return f"{task.kind} is not supported when running here"
    if task.loop:
        return _problem(task.loop, job, bundle, pipelines)
    from_git = job.settings.get("git_source") and task.spec.get("source") != "WORKSPACE"
    if task.kind in NEEDS_FILE and (task.file is None or from_git):
        return f"{task.kind} does not run a file of the bundle, which alone is supported here"
    if task.kind == "run_job_task" and not any(
        str(job.id) == str(task.spec["job_id"]) for job in bundle.jobs.values()
    ):
        return f"job {task.spec['job_id']} is not in the bundle; name it ${{resources.jobs.KEY.id}}"
    if task.kind == "pipeline_task" and task.spec["pipeline_id"] not in pipelines:
        return f"pipeline {task.spec['pipeline_id']} has nothing here that updates it"
    wanted = {name for entry in task.settings.get("libraries") or () for name in entry}
    for name in NEEDS_CLUSTER:
        if name in wanted:
            return f"the library of kind '{name}' is not supported when running here"
    return None
