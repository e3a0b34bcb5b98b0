import re
from collections.abc import Callable
from pathlib import Path

import pytest
from databricks.bundles.jobs import Job as DatabricksJob
from ruamel.yaml import YAML

from pipelines.errors import BundleError
from workflows.bundle import Bundle, load_bundle

REPOSITORY = Path(__file__).resolve().parents[2]

TOP = """\
bundle:
  name: shop
include: [jobs/*.yml]
variables:
  root: {default: here}
  depth: {default: 3}
targets:
  dev:
    default: true
  prod:
    variables:
      root: there
"""

JOB = """\
resources:
  jobs:
    daily:
      name: daily-${bundle.target}
      tasks:
        - task_key: second
          depends_on: [{task_key: first}]
          spark_python_task:
            {python_file: ../task.py, parameters: ["${var.root}/x", "${var.depth}"]}
        - task_key: first
          spark_python_task: {python_file: ../task.py}
"""

Load = Callable[..., Bundle]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(top: str = TOP, job: str = JOB, **options: object) -> Bundle:
        (tmp_path / "jobs").mkdir(exist_ok=True)
        (tmp_path / "task.py").touch()
        (tmp_path / "databricks.yml").write_text(top)
        (tmp_path / "jobs" / "daily.yml").write_text(job)
        return load_bundle(tmp_path / "databricks.yml", **options)  # type: ignore[arg-type]

    return loaded


def test_job_is_resolved_for_the_default_target(load: Load, tmp_path: Path) -> None:
    bundle = load()
    job = bundle.job("daily")
    assert (bundle.name, bundle.target, bundle.root) == ("shop", "dev", tmp_path)
    assert job.settings["name"] == "daily-dev"
    assert [task.key for task in job.tasks] == ["first", "second"]
    assert job.tasks[1].spec["parameters"] == ["here/x", 3]
    assert job.tasks[1].file == str(tmp_path / "task.py")


def test_override_wins_over_target_wins_over_default(load: Load) -> None:
    assert load().variables["root"] == "here"
    assert load(target="prod").variables["root"] == "there"
    assert load(target="prod", variables={"root": "mine"}).variables["root"] == "mine"


def test_folder_of_the_bundle_will_do(load: Load, tmp_path: Path) -> None:
    load()
    assert load_bundle(tmp_path).name == "shop"


def test_target_overlay_changes_the_task_with_the_same_key(load: Load) -> None:
    overlay = """\
    resources:
      jobs:
        daily:
          tasks:
            - {task_key: first, max_retries: 5}
            - {task_key: third, spark_python_task: {python_file: task.py}}
"""
    tasks = {task.key: task for task in load(TOP + overlay, target="prod").job("daily").tasks}
    assert tasks.keys() == {"first", "second", "third"}
    assert (tasks["first"].max_retries, tasks["second"].max_retries) == (5, 0)
    assert tasks["first"].file == tasks["third"].file  # each relative to its own file


def test_development_pauses_schedules_that_do_not_insist(load: Load) -> None:
    top = TOP.replace("default: true", "default: true\n    mode: development")
    schedule = "      schedule: {quartz_cron_expression: 0 0 1 * * ?, timezone_id: UTC}\n"
    insists = schedule.replace("UTC}", "UTC, pause_status: UNPAUSED}")
    assert load(top, JOB + schedule).job("daily").settings["schedule"]["pause_status"] == "PAUSED"
    assert load(top, JOB + insists).job("daily").settings["schedule"]["pause_status"] == "UNPAUSED"
    assert "pause_status" not in load(TOP, JOB + schedule).job("daily").settings["schedule"]


def test_presets_change_every_job(load: Load) -> None:
    presets = "    presets: {name_prefix: 'my ', tags: {a: b, c: d}, jobs_max_concurrent_runs: 4}\n"
    settings = load(TOP + presets, JOB + "      tags: {c: mine}\n", target="prod").job("daily")
    assert settings.settings["name"] == "my daily-prod"
    assert settings.settings["tags"] == {"a": "b", "c": "mine"}
    assert settings.settings["max_concurrent_runs"] == 4


def test_complex_variable_keeps_its_structure(load: Load) -> None:
    top = TOP.replace(
        "targets:",
        "  cluster:\n    type: complex\n    default:\n"
        "      spark_env_vars: {ROOT: '${var.root}'}\ntargets:",
    )
    job = JOB.replace(
        "      tasks:",
        "      job_clusters: [{job_cluster_key: main, new_cluster: '${var.cluster}'}]\n"
        "      tasks:",
    ).replace("- task_key: first", "- task_key: first\n          job_cluster_key: main")
    tasks = load(top, job).job("daily").tasks
    assert dict(tasks[0].environment) == {"ROOT": "here"}
    with pytest.raises(BundleError, match="--var cluster: a complex variable"):
        load(top, job, variables={"cluster": "x"})


def test_text_that_is_no_reference_stays(load: Load) -> None:
    job = JOB.replace("${var.depth}", "$HOME ${HOME:-x} {{foo}}")
    assert load(job=job).job("daily").tasks[1].spec["parameters"][1] == "$HOME ${HOME:-x} {{foo}}"


def test_workspace_file_path_is_where_the_bundle_stands(load: Load, tmp_path: Path) -> None:
    job = JOB.replace("${var.root}", "${workspace.file_path}")
    assert load(job=job).job("daily").tasks[1].spec["parameters"][0] == f"{tmp_path}/x"
    top = TOP + "    workspace: {file_path: /Workspace/shop}\n"
    assert (
        load(top, job, target="prod").job("daily").tasks[1].spec["parameters"][0]
        == "/Workspace/shop/x"
    )


def test_an_alias_is_the_same_value(load: Load) -> None:
    job = JOB.replace("{python_file: ../task.py}", "&run {python_file: ../task.py}")
    again = "        - {task_key: third, spark_python_task: *run}\n"
    assert len(load(job=job + again).job("daily").tasks) == 3


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("var.root", "var.rot", "daily.yml:9", "unknown reference .*did you mean 'root'"),
        ("var.root", "bundel.name", "daily.yml:9", "did you mean 'bundle'"),
        ("var.root", "workspace.host", "daily.yml:9", "only a deployed workspace knows"),
        ("var.root", "resources.jobs.x.id", "daily.yml:9", "known: daily"),
        ("task_key: first}", "task_key: frist}", "daily.yml:7", "'frist', which is no task"),
        ("task_key: second", "task_key: first", "daily.yml:10", "already used at .*daily.yml:6"),
        ("task_key: first}", "task_key: second}", "daily.yml:7", "wait for each other"),
        ("- task_key: second", "- max_retries: 1", "daily.yml:6", "has no task_key"),
        ("task_key: second", "task_key: ../x", "daily.yml:6", "letters, digits"),
        ("../task.py}", "../no.py}", "daily.yml:11", "no file .*no.py"),
        ("{python_file: ../task.py}", "{}", "daily.yml:11", "has no python_file"),
        ("parameters: [", "parameters: [[1], ", "daily.yml:9", "must be text"),
        ("      tasks:", "      tasks: {}\n      x:", "daily.yml:5", "must be a list"),
        ("- task_key: first", "- task_key: first\n          max_retries: two", "", "whole number"),
        (
            "- task_key: first",
            "- task_key: first\n          job_cluster_key: x",
            "",
            "no job clust",
        ),
        (
            "- task_key: first",
            "- task_key: first\n          sql_task: {}",
            "",
            "must have one kind",
        ),
        ("    daily:", "    daily: {}\n    daily:", "daily.yml:4", "duplicate key"),
        ("resources:", "resorces:", "daily.yml:1", "did you mean 'resources'"),
        (
            "resources:",
            "python: {mutators: [no.x]}\nresources:",
            "daily.yml:1",
            "apply_mutators failed",
        ),
        ("      name:", "      name: [", "daily.yml", "not valid YAML"),
        ("name: daily", f"tags: {'[' * 50}{']' * 50}\n      name: daily", "daily.yml:4", "nested"),
        ("name: daily", "tags: !x {}\n      name: daily", "daily.yml:4", "tag !x is not supported"),
    ],
)
def test_bad_job_is_named_with_its_place(
    load: Load, old: str, new: str, place: str, says: str
) -> None:
    with pytest.raises(BundleError, match=says) as raised:
        load(job=JOB.replace(old, new, 1))
    assert place in str(raised.value)
    assert re.match(r".+\.yml:\d+:\d+: ", str(raised.value))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{default: here}", "{description: x}", "daily.yml:9:52: variable 'root' has no value"),
        ("  prod:", "  prod:\n    default: true", "yml:11:5: dev and prod are both the default"),
        ("    default: true", "    mode: development", "no default target; name one of: dev, prod"),
        (
            "true",
            "true\n    variables: {rot: x}",
            "yml:10:17: no variable 'rot' .*did you mean 'root'",
        ),
        ("jobs/*.yml", "job/a.yml", "yml:3:11: no file matches 'job/"),
        ("jobs/*.yml", "/jobs/*.yml", "must be relative"),
        ("name: shop", "uuid: shop", "the bundle has no name"),
        ("name: shop", "nam: shop", "yml:2:3: unknown key 'nam' in bundle; did you mean 'name'"),
        ("{default: here}", '{default: "${var.depth}"}\n  depth: {}', "duplicate key"),
        ("{default: here}", '{default: "${var.root}"}', "needs itself: var.root -> var.root"),
        ("{default: here}", "{lookup: {cluster: x}}", "'root' has no value"),
        ("    default: true", "    default: true\n    mode: test", "unknown value 'test'"),
        ("    default: true", "    default: maybe", "must be true or false, got 'maybe'"),
    ],
)
def test_bad_bundle_is_named_with_its_place(load: Load, old: str, new: str, says: str) -> None:
    with pytest.raises(BundleError, match=says) as raised:
        load(TOP.replace(old, new, 1))
    assert "\n" not in str(raised.value)


def test_unknown_names_are_answered_with_the_nearest(load: Load) -> None:
    with pytest.raises(BundleError, match="no target 'prd'; did you mean 'prod'"):
        load(target="prd")
    with pytest.raises(BundleError, match="no job 'dayly'; did you mean 'daily'"):
        load().job("dayly")
    with pytest.raises(BundleError, match="--var rot: no variable"):
        load(variables={"rot": "x"})


def test_a_job_declared_in_two_files_is_refused(load: Load, tmp_path: Path) -> None:
    load()
    (tmp_path / "jobs" / "more.yml").write_text(JOB)
    with pytest.raises(BundleError, match=r"more.yml:3:5: jobs 'daily' is already declared at"):
        load_bundle(tmp_path)


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"databricks.yml: No such file"):
        load_bundle(tmp_path / "databricks.yml")
    (tmp_path / "databricks.yml").write_bytes(b"bundle: \xff\xfe")
    with pytest.raises(BundleError, match=r"not valid YAML: .*decode byte"):
        load_bundle(tmp_path)


def test_python_tags_are_not_executed(load: Load, tmp_path: Path) -> None:
    evil = f"x: !!python/object/apply:os.mkdir ['{tmp_path}/evil']\n"
    with pytest.raises(BundleError):
        load(TOP + evil)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_our_own_jobs_are_what_databricks_takes(target: str) -> None:
    bundle = load_bundle(REPOSITORY / "databricks.yml", target=target)
    assert set(bundle.jobs) == {"ingest", "refresh", "nightly", "backfill", "shop", "price", "tour"}
    assert bundle.variables["env"] == target
    for job in bundle.jobs.values():
        assert "${" not in str(job.settings)
        accepted = DatabricksJob.from_dict(job.settings)  # type: ignore[arg-type]
        assert accepted.as_dict()["tasks"] == job.settings["tasks"]


def test_our_own_lake_is_the_settings_lake() -> None:
    for env in ("dev", "prod"):
        bundle = load_bundle(REPOSITORY, target=env)
        settings = YAML(typ="safe").load(REPOSITORY / "conf" / f"{env}.yml")
        assert bundle.variables["root"] == settings["root"]


def test_our_own_libraries_are_pinned_as_the_project_pins_them() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text()
    for library in load_bundle(REPOSITORY).variables["libraries"]:
        assert f'"{library["pypi"]["package"]}"' in project


def test_environment_and_file_override_a_target_and_the_command_line_both(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".databricks" / "bundle" / "prod"
    folder.mkdir(parents=True)
    (folder / "variable-overrides.json").write_text('{"root": "file"}')
    assert load(target="prod").variables["root"] == "file"
    monkeypatch.setenv("BUNDLE_VAR_root", "environment")
    assert load(target="prod").variables["root"] == "environment"
    assert load(target="prod", variables={"root": "line"}).variables["root"] == "line"


def test_ids_of_resources_are_known_and_the_same_each_time(load: Load) -> None:
    job = JOB.replace("${var.root}", "${resources.jobs.daily.id}")
    bundle = load(job=job)
    assert bundle.job("daily").tasks[1].spec["parameters"][0] == f"{bundle.job('daily').id}/x"
    assert load(job=job).job("daily").id == bundle.job("daily").id
    assert load(job=job, target="prod").job("daily").id != bundle.job("daily").id


def test_permissions_and_run_as_of_the_bundle_are_those_of_its_jobs(load: Load) -> None:
    top = TOP + "permissions: [{level: CAN_VIEW, group_name: users}]\nrun_as: {user_name: ops}\n"
    settings = load(top).job("daily").settings
    assert settings["permissions"] == [{"level": "CAN_VIEW", "group_name": "users"}]
    assert settings["run_as"] == {"user_name": "ops"}
    own = load(top, JOB + "      run_as: {user_name: me}\n").job("daily").settings
    assert own["run_as"] == {"user_name": "me"}


def test_development_marks_what_it_deploys(load: Load) -> None:
    settings = load(TOP.replace("default: true", "default: true\n    mode: development"))
    job = settings.job("daily").settings
    assert re.fullmatch(r"\[dev \w+\] daily-dev", job["name"])
    assert list(job["tags"]) == ["dev"]


def test_top_level_key_that_only_holds_an_anchor_is_let_be(load: Load) -> None:
    job = JOB.replace("{python_file: ../task.py}", "{<<: *run}")
    holder = "run: &run {python_file: ../task.py}\n"
    assert len(load(job=holder + job).job("daily").tasks) == 2


def test_bundle_without_targets_has_one(load: Load) -> None:
    assert load(TOP.split("targets:")[0]).target == "default"


def test_facts_of_the_repository_are_known(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("abc\n")
    (tmp_path / ".git" / "config").write_text('[remote "origin"]\n  url = https://x/y\n')
    job = JOB.replace("${var.root}", "${bundle.git.branch} ${bundle.git.commit}").replace(
        "${var.depth}", "${bundle.git.origin_url}"
    )
    spec = load(job=job).job("daily").tasks[1].spec
    assert spec["parameters"] == ["main abc/x", "https://x/y"]


ONE = "- task_key: first"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (ONE, f"{ONE}\n          timeout_second: 3", ":11:11: unknown key 'timeout_second' in a t"),
        (ONE, f"{ONE}\n          run_if: ALL_SUCESS", "unknown value 'ALL_SUCESS'; did you mean"),
        (ONE, f"{ONE}\n          depends_on: [{{task_key: x, outcom: y}}]", "'outcom' in task dep"),
        ("      tasks:", "      schedul: {}\n      tasks:", ":5:7: unknown key 'schedul' in a job"),
        (ONE, f"{ONE}\n          max_retries: 010", "a number that begins with 0; quote it"),
        (ONE, f"{ONE}\n          disabled: yes", "must be true or false, got 'yes'"),
        ("../task.py}", "../../outside.py}", "no file|is outside the bundle"),
        ('["${var.root}/x"', '["{{job.naem}}"', "{{job.naem}} is no dynamic value"),
        ('["${var.root}/x"', '["{{tasks.second.values.x}}"', "names no task that runs before"),
        (
            "      tasks:",
            "      schedule: {quartz_cron_expression: 0 0 12 * *, timezone_id: UTC}\n      tasks:",
            "has 5 fields; Quartz cron has 6 or 7",
        ),
        (
            "      tasks:",
            "      schedule: {quartz_cron_expression: 0 0 0 1 1 ?, timezone_id: Mars}"
            "\n      tasks:",
            "no time zone 'Mars'",
        ),
        (
            "      tasks:",
            "      trigger: {periodic: {interval: 1}}\n      tasks:",
            "periodic has no unit",
        ),
        (
            "      tasks:",
            "      continuous: {}\n      trigger: {periodic: {interval: 1, unit: DAYS}}\n"
            "      tasks:",
            "a job has trigger or continuous, not both",
        ),
        (
            "spark_python_task: {python_file: ../task.py}",
            "for_each_task: {inputs: '[1]', task: {task_key: i, for_each_task: {inputs: '[1]', "
            "task: {task_key: j, spark_python_task: {python_file: ../task.py}}}}}",
            "a for_each_task in 'first', which is one; unnest them",
        ),
        (
            "spark_python_task: {python_file: ../task.py}",
            "for_each_task: {inputs: '[1]', concurrency: 101, task: {task_key: i, "
            "spark_python_task: {python_file: ../task.py}}}",
            "concurrency must be from 1 to 100",
        ),
        (
            "spark_python_task: {python_file: ../task.py}",
            "condition_task: {op: EQUAL_TO, left: a}",
            "condition_task of task 'first' has no right",
        ),
        ("{task_key: first}", '{task_key: first, outcome: "true"}', "'first' is no condition_task"),
        (
            "      tasks:",
            "      job_clusters: [{job_cluster_key: m, new_cluster: {spark_env_vars: "
            "{DB_PASSWORD: hunter2}}}]\n      tasks:",
            "'DB_PASSWORD' holds a secret in plain text",
        ),
        ('["${var.root}/x"', '["AKIAABCDEFGHIJKLMNOP"', "holds a secret in plain text"),
    ],
)
def test_what_is_wrong_is_named_before_anything_runs(
    load: Load, old: str, new: str, says: str
) -> None:
    with pytest.raises(BundleError, match=says) as raised:
        load(job=JOB.replace(old, new, 1))
    assert re.match(r".+\.yml:\d+:\d+: [^\n]+$", str(raised.value))


def test_file_outside_the_bundle_is_refused_unless_it_is_synced(
    load: Load, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "task.py").touch()
    (tmp_path / "link.py").symlink_to(other / "task.py")
    job = JOB.replace("../task.py}", "../link.py}")
    with pytest.raises(BundleError, match=r"is outside the bundle; move it inside"):
        load(job=job)
    synced = TOP + f"sync: {{paths: [., ../{other.name}]}}\n"
    assert load(synced, job).job("daily").tasks[0].file == str(other / "task.py")


def test_alias_bomb_is_refused_in_time(load: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)]
    with pytest.raises(BundleError, match="over 100,000 values; use fewer aliases"):
        load("".join(lines) + TOP)


def test_huge_file_is_refused(load: Load) -> None:
    with pytest.raises(BundleError, match="larger than 2,000,000 bytes"):
        load(TOP + "#" * 2_000_000)


def test_the_task_of_a_loop_has_the_cluster_that_it_names(load: Load) -> None:
    clusters = (
        "      job_clusters: [{job_cluster_key: m, new_cluster: {spark_env_vars: {SHOP: north}}}]\n"
    )
    loop = (
        "for_each_task: {inputs: '[1]', task: {task_key: one, job_cluster_key: m, "
        "spark_python_task: {python_file: ../task.py}}}"
    )
    text = JOB.replace("      tasks:", clusters + "      tasks:", 1)
    old = "spark_python_task: {python_file: ../task.py}"
    (job,) = load(job=text.replace(old, loop, 1)).jobs.values()
    looped = next(task.loop for task in job.tasks if task.loop)
    assert looped.environment == {"SHOP": "north"}
