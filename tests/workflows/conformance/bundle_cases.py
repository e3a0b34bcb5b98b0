"""Rules of the bundle language: variables, targets, modes, presets, references, includes."""

from collections.abc import Callable, Iterator

from conformance.kit import API, BUNDLES, Case, job_text, loaded, refused

VARS, MODES, REF = BUNDLES + "variables", BUNDLES + "deployment-modes", BUNDLES + "reference"
SETTINGS, OVERRIDE = BUNDLES + "settings", BUNDLES + "overrides"
ONE = "task_key: a, spark_python_task: {python_file: a.py, parameters: [%s]}"
DEV = "targets: {dev: {mode: development, default: true}}\n"


def parameter(value: str, top: str = "", **options: object) -> object:
    """What a task's parameter becomes."""
    spec = loaded(job_text(ONE % value, top=top), **options).job("j").tasks[0].spec
    return spec["parameters"][0]


def settings(job: str = "", top: str = "", tasks: str = "task_key: a", **options: object):  # type: ignore[no-untyped-def]
    """The settings of the job."""
    return loaded(job_text(tasks, job, top), **options).job("j").settings


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for rule, check in _variables().items():
        yield Case("Variables", rule, VARS, check)
    for rule, check in _targets().items():
        yield Case("Targets", rule, OVERRIDE, check)
    for rule, check in _modes().items():
        yield Case("Modes and presets", rule, MODES, check)
    for rule, page, check in _files():
        yield Case("Files and references", rule, page, check)
    for rule, check in _limits().items():
        yield Case("Jobs", rule, API, check)


def _variables() -> dict[str, Callable[[], None]]:
    declared = "variables: {v: {default: d}, c: {type: complex, default: {k: [1, 2]}}}\n"
    targets = "targets: {t: {default: true, variables: {v: of-target}}}\n"

    def default() -> None:
        assert parameter("'${var.v}'", declared) == "d"

    def target() -> None:
        assert parameter("'${var.v}'", declared + targets) == "of-target"

    def line() -> None:
        assert parameter("'${var.v}'", declared + targets, variables={"v": "line"}) == "line"

    def inside() -> None:
        assert parameter("'x-${var.v}-y'", declared) == "x-d-y"

    def complex_part() -> None:
        assert parameter("'${var.c.k[1]}'", declared) == 2

    def complex_line() -> None:
        refused(lambda: settings(top=declared, variables={"c": "x"}), "a complex variable")

    def unset() -> None:
        refused(lambda: parameter("'${var.v}'", "variables: {v: {}}\n"), "has no value")

    def undeclared() -> None:
        refused(lambda: parameter("'${var.w}'", declared), "unknown reference ${var.w}")

    def circle() -> None:
        made = "variables: {v: {default: '${var.w}'}, w: {default: '${var.v}'}}\n"
        refused(lambda: parameter("'${var.v}'", made), "needs itself")

    def lookup() -> None:
        made = "variables: {v: {lookup: {cluster: x}, default: d}}\n"
        refused(lambda: parameter("'${var.v}'", made), "a default or a lookup, not both")

    return {
        "a variable has its default": default,
        "a target's value wins over the default": target,
        "--var wins over a target": line,
        "a reference may stand inside a text": inside,
        "a complex variable has parts": complex_part,
        "a complex variable cannot come from --var": complex_line,
        "a variable without a value is an error": unset,
        "a variable that is not declared is an error": undeclared,
        "variables that need each other are an error": circle,
        "a variable has a default or a lookup": lookup,
    }


def _targets() -> dict[str, Callable[[], None]]:
    def over(text: str) -> str:
        return f"targets: {{t: {{default: true, resources: {{jobs: {{j: {text}}}}}}}}}\n"

    def scalar() -> None:
        assert settings("timeout_seconds: 1", over("{timeout_seconds: 2}"))["timeout_seconds"] == 2

    def task() -> None:
        made = settings(top=over("{tasks: [{task_key: a, max_retries: 3}]}"))["tasks"]
        assert [t["max_retries"] for t in made] == [3]

    def cluster() -> None:
        job = (
            "job_clusters: [{job_cluster_key: m, new_cluster: {num_workers: 1, spark_version: x}}]"
        )
        top = over("{job_clusters: [{job_cluster_key: m, new_cluster: {num_workers: 9}}]}")
        (made,) = settings(job, top)["job_clusters"]
        assert made["new_cluster"] == {"num_workers": 9, "spark_version": "x"}

    def parameters() -> None:
        top = over("{parameters: [{name: p, default: y}]}")
        made = settings("parameters: [{name: p, default: x}]", top)
        assert made["parameters"] == [{"name": "p", "default": "y"}]

    def two() -> None:
        top = "targets: {a: {default: true}, b: {default: true}}\n"
        refused(lambda: settings(top=top), "are both the default target")

    def none() -> None:
        refused(lambda: settings(top="targets: {a: {}, b: {}}\n"), "no default target")

    def unknown() -> None:
        refused(lambda: settings(top="targets: {prod: {}}\n", target="prd"), "did you mean 'prod'")

    def name() -> None:
        assert parameter("'${bundle.target}'", "targets: {t: {}}\n") == "t"

    return {
        "a target's value replaces the bundle's": scalar,
        "a target's task is merged with the one of the same task_key": task,
        "a target's job cluster is merged by job_cluster_key": cluster,
        "a target's job parameter is merged by name": parameters,
        "two default targets are an error": two,
        "several targets and no default: one must be named": none,
        "a target that is not there is an error with the nearest": unknown,
        "${bundle.target} is the target's name": name,
    }


def _modes() -> dict[str, Callable[[], None]]:
    schedule = "schedule: {quartz_cron_expression: 0 0 0 * * ?, timezone_id: UTC%s}"

    def prefix() -> None:
        assert settings("name: n", DEV)["name"].startswith("[dev ")

    def tag() -> None:
        assert "dev" in settings("tags: {k: v}", DEV)["tags"]

    def paused() -> None:
        assert settings(schedule % "", DEV)["schedule"]["pause_status"] == "PAUSED"

    def insists() -> None:
        made = settings(schedule % ", pause_status: UNPAUSED", DEV)
        assert made["schedule"]["pause_status"] == "UNPAUSED"

    def concurrent() -> None:
        assert settings(top=DEV)["max_concurrent_runs"] > 1

    def production() -> None:
        top = "targets: {p: {mode: production}}\n"
        assert settings("name: n", top)["name"] == "n"

    def other() -> None:
        refused(lambda: settings(top="targets: {p: {mode: test}}\n"), "unknown value 'test'")

    def presets() -> None:
        top = "targets: {p: {presets: {name_prefix: x-, tags: {a: b}}}}\n"
        made = settings("name: n", top)
        assert (made["name"], made["tags"]) == ("x-n", {"a": "b"})

    def own_prefix() -> None:
        top = "targets: {p: {mode: development, presets: {name_prefix: x-}}}\n"
        assert settings("name: n", top)["name"] == "x-n"

    return {
        "development puts [dev user] before the names of jobs": prefix,
        "development tags jobs with dev": tag,
        "development pauses schedules": paused,
        "an explicit UNPAUSED stays in development": insists,
        "development lets runs go on side by side": concurrent,
        "production leaves names as they are": production,
        "another mode is an error": other,
        "presets set prefix and tags": presets,
        "presets win over what the mode sets": own_prefix,
    }


def _files() -> Iterator[tuple[str, str, Callable[[], None]]]:
    def missing() -> None:
        refused(
            lambda: settings(tasks="task_key: a, notebook_task: {notebook_path: z.py}"), "no file"
        )

    def ending() -> None:
        loaded(job_text("task_key: a, notebook_task: {notebook_path: n}"))

    def unknown_key() -> None:
        refused(lambda: settings("timeout_second: 1"), "did you mean 'timeout_seconds'")

    def job_id() -> None:
        job = loaded(job_text(ONE % "'${resources.jobs.j.id}'")).job("j")
        assert job.tasks[0].spec["parameters"] == [job.id]

    def no_job() -> None:
        refused(lambda: parameter("'${resources.jobs.k.id}'"), "unknown reference")

    def bundle_name() -> None:
        assert parameter("'${bundle.name}'") == "x"

    def user() -> None:
        assert parameter("'${workspace.current_user.userName}'")

    def absolute_include() -> None:
        refused(lambda: settings(top="include: [/a.yml]\n"), "must be relative")

    def glob() -> None:
        assert settings(top="include: ['resources/*.yml']\n")

    def missing_include() -> None:
        refused(lambda: settings(top="include: [b.yml]\n"), "no file matches 'b.yml'")

    def tag() -> None:
        refused(lambda: settings("tags: !!python/name:os.system {}"), "tag")

    def permission() -> None:
        made = settings(top="permissions: [{level: CAN_VIEW, group_name: users}]\n")
        assert made["permissions"][0]["group_name"] == "users"

    def run_as() -> None:
        assert settings(top="run_as: {user_name: u}\n")["run_as"] == {"user_name": "u"}

    yield "a file that a task names must be there", REF, missing
    yield "a notebook may be named without its ending", BUNDLES + "job-task-types", ending
    yield "an unknown key is an error with the nearest one", REF, unknown_key
    yield "${resources.jobs.KEY.id} is the job's id", BUNDLES + "variables", job_id
    yield "a resource that is not there is an error", BUNDLES + "variables", no_job
    yield "${bundle.name} is the bundle's name", BUNDLES + "variables", bundle_name
    yield "${workspace.current_user.userName} is who runs it", BUNDLES + "variables", user
    yield "an include is relative to databricks.yml", SETTINGS, absolute_include
    yield "a pattern of includes may match nothing", SETTINGS, glob
    yield "an included file must be there", SETTINGS, missing_include
    yield "a YAML tag is never executed", SETTINGS, tag
    yield "top-level permissions are those of every job", BUNDLES + "permissions", permission
    yield "top-level run_as is that of every job", BUNDLES + "run-as", run_as


def _limits() -> dict[str, Callable[[], None]]:
    def kinds() -> None:
        tasks = "task_key: a, sql_task: {}, notebook_task: {notebook_path: n.py}"
        refused(lambda: settings(tasks=tasks), "must have one kind")

    def twice() -> None:
        refused(lambda: settings(tasks="task_key: a\ntask_key: a"), "already used")

    def cycle() -> None:
        tasks = "task_key: a, depends_on: [{task_key: b}]\ntask_key: b, depends_on: [{task_key: a}]"
        refused(lambda: settings(tasks=tasks), "tasks wait for each other")

    def absent() -> None:
        tasks = "task_key: a, depends_on: [{task_key: z}]"
        refused(lambda: settings(tasks=tasks), "depends on 'z', which is no task")

    def many() -> None:
        tasks = "\n".join(f"task_key: t{number}" for number in range(1001))
        refused(lambda: settings(tasks=tasks), "over 1,000 tasks")

    def concurrent() -> None:
        refused(lambda: settings("max_concurrent_runs: 1001"), "at most 1,000 runs")

    def cluster() -> None:
        refused(lambda: settings(tasks="task_key: a, job_cluster_key: m"), "no job cluster 'm'")

    def environment() -> None:
        refused(lambda: settings(tasks="task_key: a, environment_key: e"), "no environment 'e'")

    def run_if() -> None:
        refused(lambda: settings(tasks="task_key: a, run_if: SOMETIMES"), "unknown value")

    def one_run() -> None:
        assert loaded(job_text("task_key: a")).job("j").max_concurrent_runs == 1

    return {
        "a task is of exactly one kind": kinds,
        "a task_key is used once": twice,
        "tasks may not wait for each other in a circle": cycle,
        "a dependency must be a task of the job": absent,
        "a job has at most 1,000 tasks": many,
        "at most 1,000 runs of a job side by side": concurrent,
        "a job_cluster_key must be one of the job's": cluster,
        "an environment_key must be one of the job's": environment,
        "run_if is one of six": run_if,
        "without max_concurrent_runs it is 1": one_run,
    }
