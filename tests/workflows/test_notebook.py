import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import pytest

from pipelines.errors import NotebookError
from workflows.notebook import parse, render_html, run
from workflows.page import Svg

HEADER = "# Databricks notebook source\n"
PART = "\n# COMMAND ----------\n\n"


class FakeFrame:
    def __init__(self, rows: int) -> None:
        self.rows = rows

    def limit(self, count: int) -> "FakeFrame":
        return FakeFrame(min(self.rows, count))

    def toPandas(self) -> pd.DataFrame:
        return pd.DataFrame({"n": range(self.rows)})


class FakeSpark:
    def __init__(self) -> None:
        self.queries: list[str] = []

    def sql(self, text: str) -> FakeFrame:
        self.queries.append(text)
        return FakeFrame(70)


def notebook(tmp_path: Path, *cells: str) -> Path:
    file = tmp_path / "notebook.py"
    file.write_text(HEADER + PART.join(cells))
    return file


def test_cells_have_kind_source_title_and_line() -> None:
    text = HEADER + PART.join(
        [
            "# MAGIC %md\n# MAGIC # Title\n# MAGIC\n# MAGIC text",
            "# DBTITLE 1,Load, then show\nx = 1\n\n# a comment\nx",
            "# MAGIC %sql SELECT 1",
            "",
            "# MAGIC %pip install x",
        ]
    )
    cells = [(cell.kind, cell.source, cell.title, cell.line) for cell in parse(text)]
    assert cells == [
        ("md", "# Title\n\ntext", "", 3),
        ("python", "x = 1\n\n# a comment\nx", "Load, then show", 9),
        ("sql", "SELECT 1", "", 15),
        ("pip", "install x", "", 21),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "nb.py:1: not a Databricks notebook"),
        ("", "nb.py:1: not a Databricks notebook"),
        (HEADER + "# MAGIC %md\nx = 1", "nb.py:3: a cell holds both"),
        (HEADER + "# MAGIC text", "nb.py:2: .* must begin with its language"),
    ],
)
def test_malformed_notebook_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(NotebookError, match=says):
        parse(text, name="nb.py")


def test_windows_line_ends_and_byte_order_mark_are_read() -> None:
    text = "\ufeff" + (HEADER + "x = 1" + PART + "y = 2").replace("\n", "\r\n")
    assert [cell.source for cell in parse(text)] == ["x = 1", "y = 2"]


def test_cells_share_a_namespace_and_display_in_order(tmp_path: Path) -> None:
    file = notebook(
        tmp_path, "x = 20", "print('a')\ndisplay({'x': x})\nprint('b')\nx + 1", "None", "x = 3;"
    )
    namespace: dict[str, Any] = {}
    outputs = [result.outputs for result in run(file, namespace=namespace)]
    assert outputs == [(), ("a\n", {"x": 20}, "b\n", 21), (), ()]
    assert namespace["x"] == 3


def test_display_of_the_caller_is_called_too(tmp_path: Path) -> None:
    seen: list[Any] = []
    run(notebook(tmp_path, "display(1)"), namespace={"display": seen.append})
    assert seen == [1]


def test_sql_cell_displays_the_first_rows_and_leaves_the_result(tmp_path: Path) -> None:
    spark = FakeSpark()
    file = notebook(tmp_path, "# MAGIC %sql\n# MAGIC SELECT 1\n# MAGIC FROM x", "_sqldf.rows")
    results = run(file, namespace={"spark": spark})
    assert spark.queries == ["SELECT 1\nFROM x"]
    assert len(results[0].outputs[0]) == 51
    assert results[1].outputs == (70,)


def test_sql_without_a_session_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"py:2: cell 1 failed: .*session called 'spark'"):
        run(notebook(tmp_path, "# MAGIC %sql SELECT 1"), namespace={})


@pytest.mark.parametrize("magic", ["pip install x", "sh ls", "scala", "r"])
def test_unsupported_language_is_refused_before_anything_runs(tmp_path: Path, magic: str) -> None:
    file = notebook(tmp_path, "ran = True", f"# MAGIC %{magic}")
    namespace: dict[str, Any] = {}
    with pytest.raises(NotebookError, match=rf"notebook.py:5: %{magic.split()[0]} is not supp"):
        run(file, namespace=namespace)
    assert "ran" not in namespace


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("x = 1\n\nraise ValueError('bad\\nworse')", "py:7: cell 2 failed: ValueError: bad$"),
        ("def f():\n    return 1 / 0\n\nf()", "py:6: cell 2 failed: ZeroDivisionError"),
        ("x = 1\nx = = 2", "py:6: cell 2 failed: SyntaxError"),
        ("import sys\nsys.exit(3)", "py:6: cell 2 failed: SystemExit: 3"),
        ("assert False", "py:5: cell 2 failed: AssertionError$"),
    ],
)
def test_failing_cell_is_named_with_its_line(tmp_path: Path, cell: str, says: str) -> None:
    with pytest.raises(NotebookError, match=says):
        run(notebook(tmp_path, "pass", cell), namespace={})


def test_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"none.py: cannot be read"):
        run(tmp_path / "none.py", namespace={})


def test_page_shows_text_code_tables_and_charts(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a<b": [1, 2], "c": ["<i>", None]})
    chart = alt.Chart(frame, title="Chart").mark_bar().encode(x="c:N", y=alt.Y("a<b:Q"))
    file = notebook(
        tmp_path,
        "# MAGIC %md\n# MAGIC # Hello\n# MAGIC <script>x</script>",
        "# DBTITLE 1,A & B\ndisplay(frame)\ndisplay(chart)\nprint('1 < 2')",
        "# MAGIC %sql SELECT 1",
    )
    results = run(file, namespace={"frame": frame, "chart": chart, "spark": FakeSpark()})
    assert isinstance(results[1].outputs[1], Svg)
    page = render_html(results, "T & t")
    assert "<title>T &amp; t</title>" in page
    assert "<h1>Hello</h1>" in page
    assert "<h3>A &amp; B</h3>" in page
    assert page.count("<svg") == 1
    assert "1 &lt; 2" in page
    assert "&lt;i&gt;" in page
    assert "<script" not in page
    assert "the first 50 rows" in page
    assert "<td>49</td>" in page
    assert "<td>50</td>" not in page
    assert "prefers-color-scheme: dark" in page


def test_what_is_displayed_is_what_it_was_then(tmp_path: Path) -> None:
    cell = "import pandas as pd\nf = pd.DataFrame({'a': [1]})\ndisplay(f)\nf.loc[0, 'a'] = 2"
    (result,) = run(notebook(tmp_path, cell), namespace={})
    assert result.outputs[0]["a"].tolist() == [1]


def test_command_writes_the_page_or_names_the_error(tmp_path: Path) -> None:
    def command(file: Path) -> subprocess.CompletedProcess[str]:
        page = str(tmp_path / "page.html")
        line = [sys.executable, "-m", "workflows.notebook", str(file), "--html", page]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    assert command(notebook(tmp_path, "6 * 7")).returncode == 0
    assert "<pre>42</pre>" in (tmp_path / "page.html").read_text()
    failed = command(notebook(tmp_path, "1 / 0"))
    assert failed.returncode == 1
    assert failed.stderr.strip().endswith("cell 1 failed: ZeroDivisionError: division by zero")
    assert failed.stderr.count("\n") == 1


def test_other_notebooks_are_included_in_the_same_namespace(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text(f"{HEADER}def double(n):\n    return 2 * n\n")
    file = notebook(tmp_path, "# MAGIC %run ./lib", "double(21)")
    assert run(file, namespace={})[1].outputs == (42,)


def test_included_notebooks_are_checked_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text(f"{HEADER}# MAGIC %scala")
    namespace: dict[str, Any] = {}
    with pytest.raises(NotebookError, match=r"lib.py:2: %scala is not supported"):
        run(notebook(tmp_path, "ran = True", "# MAGIC %run ./lib"), namespace=namespace)
    assert "ran" not in namespace
    with pytest.raises(NotebookError, match="goes round in a circle"):
        run(notebook(tmp_path, "# MAGIC %run ./notebook"), namespace={})


def test_widgets_have_defaults_and_take_parameters(tmp_path: Path) -> None:
    cell = "dbutils.widgets.text('day', 'today')\ndbutils.widgets.dropdown('k', 'a', ['a', 'b'])\n"
    file = notebook(tmp_path, cell, "dbutils.widgets.get('day'), getArgument('k')")
    assert run(file, namespace={})[1].outputs == (("today", "a"),)
    assert run(file, namespace={}, widgets={"day": "x"})[1].outputs == (("x", "a"),)
    missing = notebook(tmp_path, "dbutils.widgets.get('none')")
    with pytest.raises(NotebookError, match="WidgetError: no widget 'none'; there are: none"):
        run(missing, namespace={})


def test_another_notebook_runs_by_itself_and_gives_back_a_value(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        f"{HEADER}x = dbutils.widgets.get('n')\ndbutils.notebook.exit(x * 2)\nx = 'not reached'\n"
    )
    file = notebook(tmp_path, "x = 1", "dbutils.notebook.run('other', 60, {'n': 'ab'}), x")
    assert run(file, namespace={})[1].outputs == (("abab", 1),)
    (tmp_path / "other.py").write_text(f"{HEADER}import time\ntime.sleep(9)\n")
    with pytest.raises(NotebookError, match="TimeoutError"):
        run(notebook(tmp_path, "dbutils.notebook.run('other', 0.05)"), namespace={})


def test_exit_ends_a_notebook_with_success(tmp_path: Path) -> None:
    results = run(notebook(tmp_path, "dbutils.notebook.exit('done')", "1 / 0"), namespace={})
    assert [result.outputs for result in results] == [("exit: done\n",)]


def test_secrets_come_from_the_environment_and_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_SHOP_API_KEY", "sesame")
    file = notebook(tmp_path, "key = dbutils.secrets.get('shop', 'api-key')\nprint(f'<{key}>')")
    namespace: dict[str, Any] = {}
    assert run(file, namespace=namespace)[0].outputs == ("<[REDACTED]>\n",)
    assert namespace["key"] == "sesame"
    failing = notebook(tmp_path, "raise ValueError(dbutils.secrets.get('shop', 'api-key'))")
    with pytest.raises(NotebookError, match=r"ValueError: \[REDACTED\]"):
        run(failing, namespace={})


def test_files_of_a_workspace_are_kept_beside_the_runs(tmp_path: Path) -> None:
    cells = (
        "dbutils.fs.put('/Volumes/a/b/c.txt', 'text')\ndbutils.fs.head('/Volumes/a/b/c.txt')",
        "dbutils.fs.cp('/Volumes/a/b', 'dbfs:/copy', recurse=True)\n"
        "[(f.name, f.size) for f in dbutils.fs.ls('dbfs:/copy')]",
        "dbutils.fs.mv('dbfs:/copy/c.txt', 'dbfs:/d.txt')\ndbutils.fs.rm('dbfs:/copy', True)\n"
        "[f.name for f in dbutils.fs.ls('dbfs:/')]",
    )
    context = json.dumps({"store": str(tmp_path / "state" / "workflows.db")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKFLOWS_TASK", context)
        results = run(notebook(tmp_path, *cells), namespace={})
    assert results[0].outputs == ("text\n",)
    assert results[1].outputs == ([("c.txt", 4)],)
    assert [name.strip("/") for name in results[2].outputs[0]] == ["Volumes", "d.txt"]
    assert (tmp_path / "state" / "dbfs" / "d.txt").read_text() == "text"


def test_sql_notebook_and_jupyter_notebook_have_the_same_cells(tmp_path: Path) -> None:
    sql = tmp_path / "n.sql"
    sql.write_text(
        "-- Databricks notebook source\nSELECT 1\n\n-- COMMAND ----------\n\n"
        "-- MAGIC %python\n-- MAGIC 6 * 7\n"
    )
    document = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title"]},
            {"cell_type": "code", "source": ["%sql\n", "SELECT 1"]},
            {"cell_type": "code", "source": ["6 * 7"]},
            {"cell_type": "code", "source": []},
        ]
    }
    jupyter = tmp_path / "n.ipynb"
    jupyter.write_text(json.dumps(document))
    assert [c.kind for c in parse(sql.read_text(), name="n.sql")] == ["sql", "python"]
    cells = parse(jupyter.read_text(), name="n.ipynb")
    assert [(c.kind, c.source) for c in cells] == [
        ("md", "# Title"),
        ("sql", "SELECT 1"),
        ("python", "6 * 7"),
    ]
    for file in (sql, jupyter):
        assert run(file, namespace={"spark": FakeSpark()})[-1].outputs == (42,)
    with pytest.raises(NotebookError, match=r"n.ipynb:1: not a Jupyter notebook"):
        parse("{}", name="n.ipynb")
