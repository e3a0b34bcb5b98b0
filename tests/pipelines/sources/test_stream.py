"""How a source is chosen, and what its failures become."""

import pytest
from typer.testing import CliRunner

from pipelines import lake_commands  # noqa: F401  # adds its commands to `app`
from pipelines.app import app
from pipelines.errors import ConfigError
from pipelines.sources.failures import source_failure

SPARKS_REPORT = """[STREAM_FAILED] Query bronze terminated with exception: Job aborted.
Caused by: org.apache.spark.SparkException: [FAILED_READ_FILE.{kind}] Encountered error while \
reading file s3a://shop/landing/a%20b.jsonl.gz. {more}
"""


def test_command_line_chooses_the_source_and_names_a_wrong_one() -> None:
    done = CliRunner().invoke(app, ["ingest", "--source", "post"])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith("the command line: 'source.kind'")


@pytest.mark.parametrize(
    ("kind", "said"), [("NO_HINT", "is damaged or incomplete"), ("FILE_NOT_EXIST", "is gone")]
)
def test_files_that_cannot_be_read_are_named_in_one_line(kind: str, said: str) -> None:
    error = source_failure("bronze", SPARKS_REPORT.format(kind=kind, more="SQLSTATE: KD001"))
    assert str(error).startswith(f"bronze: s3a://shop/landing/a b.jsonl.gz {said}; put a good")
    assert "\n" not in str(error)


def test_our_own_errors_are_found_in_sparks_report_and_others_are_left() -> None:
    traceback = "Traceback\n  File x\npipelines.errors.SourceError: it is gone; mend it\n\tat java"
    assert str(source_failure("bronze", traceback)) == "bronze: it is gone; mend it"
    assert source_failure("bronze", "java.lang.OutOfMemoryError: Java heap space") is None
