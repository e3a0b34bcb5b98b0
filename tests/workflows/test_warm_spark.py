"""Tasks that need Spark, in one job with real sessions: shared where alike, fresh on request."""

import pytest

from workflows.bundle import load_bundle
from workflows.runner import JobRun, run_job

BUNDLE = """\
bundle: {name: x}
resources:
  jobs:
    daily:
      parameters: [{name: n, default: "5"}]
      job_clusters:
        - job_cluster_key: main
          new_cluster: {spark_conf: &conf
            {spark.master: "local[1]", spark.ui.enabled: "false", spark.driver.memory: 512m,
             spark.driver.host: 127.0.0.1, spark.driver.bindAddress: 127.0.0.1}}
      tasks:
        - task_key: first
          job_cluster_key: main
          spark_python_task: {python_file: task.py, parameters: [first]}
        - task_key: bad
          job_cluster_key: main
          depends_on: [{task_key: first}]
          spark_python_task: {python_file: task.py, parameters: [bad]}
        - task_key: query
          job_cluster_key: main
          depends_on: [{task_key: bad}]
          run_if: ALL_DONE
          sql_task: {warehouse_id: x, file: {path: query.sql}}
        - task_key: page
          job_cluster_key: main
          depends_on: [{task_key: query}]
          notebook_task:
            notebook_path: page
            base_parameters: {d: "{{tasks.query.output.first_row.d}}"}
        - task_key: own
          depends_on: [{task_key: page}]
          new_cluster: {spark_conf: *conf}
          spark_python_task: {python_file: task.py, parameters: [own]}
"""
TASK = """\
import sys
from workflows.spark import session
spark = session()
name = sys.argv[1]
print(spark.sparkContext.applicationId, [t.name for t in spark.catalog.listTables()],
      spark.conf.get("spark.sql.shuffle.partitions"))
spark.range(3).cache().createOrReplaceTempView(f"view_of_{name}")
spark.conf.set("spark.sql.shuffle.partitions", "3")
if name == "bad":
    raise ValueError(spark.table("view_of_bad").count())
"""
PAGE = """\
# Databricks notebook source
dbutils.widgets.text("d", "0")

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT :d * 2 AS doubled

# COMMAND ----------

dbutils.jobs.taskValues.set("doubled", int(_sqldf.first().doubled))
print(spark.sparkContext.applicationId, dbutils.jobs.taskValues.get("query", "none", default=7))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> JobRun:
    folder = tmp_path_factory.mktemp("warm")
    (folder / "databricks.yml").write_text(BUNDLE)
    (folder / "task.py").write_text(TASK)
    (folder / "page.py").write_text(PAGE)
    (folder / "query.sql").write_text(
        "-- one; comment\nCREATE TEMP VIEW t AS SELECT CAST(:n AS INT) AS n;\n"
        "SELECT n * 2 AS d, ';' AS text FROM t;\n"
    )
    return run_job(load_bundle(folder), "daily", folder=folder / "state")


def log(run: JobRun, key: str) -> str:
    file = next(task.log for task in run.tasks if task.key == key)
    assert file is not None
    return file.read_text()


def test_tasks_of_one_cluster_share_a_jvm_and_nothing_else(run: JobRun) -> None:
    states = {task.key: str(task.state) for task in run.tasks}
    assert states == {
        **dict.fromkeys(("first", "query", "page", "own"), "SUCCESS"),
        "bad": "FAILED",
    }
    application, rest = log(run, "first").split(maxsplit=1)
    assert rest.startswith("[] 200")
    assert log(run, "bad").startswith(f"{application} [] 200")
    assert log(run, "page").startswith(f"{application} 7")


def test_failed_task_says_why(run: JobRun) -> None:
    bad = next(task for task in run.tasks if task.key == "bad")
    assert bad.message == "exit code 1: ValueError: 3"


def test_sql_file_takes_parameters_and_leaves_its_rows(run: JobRun) -> None:
    assert "|10 |;   |" in log(run, "query")


def test_notebook_has_its_page_with_the_values_it_was_given(run: JobRun) -> None:
    page = (run.folder / "page.1.html").read_text()
    assert "<td>20.0</td>" in page or "<td>20</td>" in page


def test_task_with_a_cluster_of_its_own_has_a_jvm_of_its_own(run: JobRun) -> None:
    assert log(run, "own").split()[0] != log(run, "first").split()[0]
