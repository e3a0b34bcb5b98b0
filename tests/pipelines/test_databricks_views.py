"""The gold views as a Databricks pipeline: the same SQL, with its comments and clustering."""

from pathlib import Path

import pytest
import sqlglot
from databricks.bundles.pipelines import Pipeline
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType
from ruamel.yaml import YAML
from sqlglot import exp

from pipelines.databricks_views import PIPELINE_DIR, statement, view_schemas, write_pipeline
from pipelines.errors import ViewError
from pipelines.io.read import read
from pipelines.registry import VIEWS
from pipelines.view import View, load_view, parse_select, table_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "dropped_view.sql").write_text("SELECT 1")
    write_pipeline(spark, folder)
    return folder


def created(folder: Path, view: View) -> exp.Create:
    """The one statement of a view's file, as Databricks' dialect reads it."""
    (one,) = sqlglot.parse((folder / f"{view.path.stem}.sql").read_text(), read="databricks")
    assert isinstance(one, exp.Create)
    return one


def test_there_is_one_file_per_view_and_no_other(written: Path) -> None:
    assert {file.name for file in written.iterdir()} == {view.path.name for view in VIEWS}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.path.stem)
def test_a_view_is_created_with_its_comments_and_clustering(written: Path, view: View) -> None:
    create = created(written, view)
    assert create.kind == "VIEW" and create.find(exp.MaterializedProperty)
    assert create.this.this.name == view.path.stem
    columns = create.this.expressions
    comments = [c.find(exp.CommentColumnConstraint).this.name for c in columns]
    assert [(c.name, said) for c, said in zip(columns, comments, strict=True)] == [
        *view.column_comments
    ]
    assert all(column.kind for column in columns)
    assert create.find(exp.SchemaCommentProperty).this.name == view.comment
    clustered = create.find(exp.ClusterProperty)
    assert [column.name for column in clustered.expressions] == [*view.cluster_by]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.path.stem)
def test_the_query_is_the_view_s_own_but_for_where_its_tables_are(
    written: Path, view: View
) -> None:
    def at_home(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Table):
            return node
        if node.db == "delta":
            assert node.name.startswith("${lakehouse.root}/")
            name = ".".join(node.name.split("/")[1:])
        elif f"gold.{node.name}" in view.inputs:
            name = f"gold.{node.name}"
        else:
            return node
        table = exp.to_table(name)
        return table if node.alias == table.name else table.as_(node.alias)

    text = (written / view.path.name).read_text().split("\nAS\n", 1)[1]
    query = parse_select(text, "").transform(at_home)
    own = parse_select(view.sql, "")
    assert {table_name(table) for table in query.find_all(exp.Table)} >= set(view.inputs)
    assert query.sql("spark", comments=False) == own.sql("spark", comments=False)


def test_columns_have_the_types_that_the_lake_gives_them(
    spark: SparkSession, golden_lake, written: Path
) -> None:
    for view in VIEWS:
        columns = created(written, view).this.expressions
        types = [column.kind.sql("spark").lower() for column in columns]
        schema = read(spark, golden_lake, view.name).schema
        assert types == [field.dataType.simpleString() for field in schema], view.name


def test_a_view_without_an_alias_for_its_table_gets_one(spark: SparkSession, tmp_path) -> None:
    file = tmp_path / "seen.sql"
    file.write_text(
        "-- One row per item.\n-- key: item_id\n-- cluster by: item_id\n"
        "SELECT\n  items.item_id -- silver.items' key\nFROM silver.items -- silver.items\n"
    )
    text = statement(load_view(file), StructType.fromDDL("item_id STRING"))
    assert "FROM delta.`${lakehouse.root}/silver/items` AS items -- silver.items\n" in text
    assert r"COMMENT 'silver.items\' key'" in text


def test_comments_that_are_not_for_the_columns_returned_are_refused() -> None:
    with pytest.raises(ViewError, match=r"current_prices\.sql: returns \['other'\]"):
        view = next(view for view in VIEWS if view.name == "gold.current_prices")
        statement(view, StructType.fromDDL("other STRING"))


def test_schemas_leave_no_temporary_view_behind(spark: SparkSession) -> None:
    before = {table.name for table in spark.catalog.listTables()}
    assert set(view_schemas(spark)) == {view.name for view in VIEWS}
    assert {table.name for table in spark.catalog.listTables()} == before


def test_the_bundle_s_pipeline_is_what_databricks_takes() -> None:
    file = ROOT / "conf" / "pipelines" / "gold.yml"
    (resource,) = YAML(typ="safe").load(file)["resources"]["pipelines"].values()
    accepted = Pipeline.from_dict(resource).as_dict()
    assert accepted == resource
    (library,) = resource["libraries"]
    assert (file.parent / library["glob"]["include"]).resolve() == PIPELINE_DIR / "*.sql"
    synced = YAML(typ="safe").load(ROOT / "databricks.yml")["sync"]["include"]
    assert synced == [f"{PIPELINE_DIR.relative_to(ROOT)}/*.sql"]
