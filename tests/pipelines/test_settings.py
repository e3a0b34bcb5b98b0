"""Settings: what wins over what, and errors that name the file and the line."""

import re
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.errors import ConfigError
from pipelines.settings import CONF_DIR, load_settings

OTHERS = {"base", "reactions"}
ENVIRONMENTS = sorted(file.stem for file in CONF_DIR.glob("*.yml") if file.stem not in OTHERS)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder of settings that a test may change: the shipped base and an empty overlay."""
    shutil.copy(CONF_DIR / "base.yml", tmp_path)
    (tmp_path / "test.yml").write_text("")
    return tmp_path


def line_of(file: Path, text: str) -> int:
    lines = file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_shipped_environment_loads(env: str) -> None:
    assert load_settings(env).env == env


def test_overlay_wins_over_base_key_by_key(conf: Path) -> None:
    (conf / "test.yml").write_text("source:\n  kafka:\n    topic: other\n")
    settings, base = load_settings("test", conf_dir=conf), load_settings()
    assert settings.source.kafka.topic == "other"
    assert settings.source.kafka.partitions == base.source.kafka.partitions
    assert settings.source.files == base.source.files


def test_overrides_have_the_last_word(conf: Path) -> None:
    (conf / "test.yml").write_text("serving:\n  port: 81\n")
    given = {"serving.port": 82, "root": "/elsewhere", "spark.conf": {"a.b": "c"}}
    settings = load_settings("test", overrides=given, conf_dir=conf)
    assert (settings.serving.port, settings.root) == (82, "/elsewhere")
    assert settings.spark.conf == {"a.b": "c"}


def test_overrides_do_not_leak_into_the_next_load() -> None:
    load_settings(overrides={"model.rank": 3, "source.kafka.topic": "other"})
    assert load_settings().model.rank != 3
    assert load_settings().source.kafka.topic != "other"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings().model.rank = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("overlay", "line", "message"),
    [
        ("modle: 1\n", 1, "'modle': unknown key"),
        ("\nmodel:\n  rnak: 3\n", 3, r"'model\.rnak': unknown key"),
        ("model:\n  rank: many\n", 2, r"'model\.rank': .* got 'many'"),
        ("model:\n  rank: 0\n", 2, r"'model\.rank': .* got 0"),
        ("model:\n  rank: 3.5\n", 2, r"'model\.rank': .* got 3\.5"),
        ("serving:\n  port: '80'\n", 2, r"'serving\.port': .* got '80'"),
        ("source:\n  kind: rabbit\n", 2, r"'source\.kind': .* got 'rabbit'"),
        ("root:\n", 1, "'root': .* got None"),
        ("a: 1\nb: [1\n", 3, "not valid YAML"),
        ("model:\n  rank: 3\n  rank: 4\n", 3, "not valid YAML"),
        ("\troot: x\n", 1, "not valid YAML"),
        ("- root\n", 1, "must be a mapping"),
        ("root: !!python/object/apply:os.getcwd []\n", 1, "'root': "),
    ],
)
def test_a_mistake_in_a_file_is_named_by_file_and_line(
    conf: Path, overlay: str, line: int, message: str
) -> None:
    file = conf / "test.yml"
    file.write_text(overlay)
    with pytest.raises(ConfigError, match=message) as raised:
        load_settings("test", conf_dir=conf)
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert "\n" not in str(raised.value)


def test_a_mistake_in_base_is_named_there(conf: Path) -> None:
    base = conf / "base.yml"
    base.write_text(re.sub(r"rank: \d+", "rank: x", base.read_text()))
    with pytest.raises(ConfigError) as raised:
        load_settings("test", conf_dir=conf)
    assert str(raised.value).startswith(f"{base}:{line_of(base, 'rank: x')}: 'model.rank'")


def test_a_missing_key_is_named(conf: Path) -> None:
    base = conf / "base.yml"
    base.write_text(re.sub(r"  test_weeks: .*\n", "", base.read_text()))
    with pytest.raises(ConfigError, match=r"'model\.test_weeks': missing"):
        load_settings("test", conf_dir=conf)


def test_a_missing_environment_is_answered_with_those_there_are(conf: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml: no such .* environments here: test"):
        load_settings("nowhere", conf_dir=conf)


def test_a_file_that_is_not_utf8_is_refused(conf: Path) -> None:
    (conf / "test.yml").write_bytes(b"root: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings("test", conf_dir=conf)


@pytest.mark.parametrize("key", ["model.rnak", "nothing", "root.x"])
def test_an_override_of_an_unknown_key_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        load_settings(overrides={key: 1})


def test_a_wrong_override_is_not_blamed_on_a_file() -> None:
    with pytest.raises(ConfigError, match=r"^the command line: 'model\.rank': .* got 0"):
        load_settings(overrides={"model.rank": 0})


def test_state_is_kept_under_a_local_lake_unless_set_elsewhere(tmp_path: Path) -> None:
    lake = {"root": str(tmp_path), "state_dir": ""}
    assert load_settings(overrides=lake).state == tmp_path / "_state"
    elsewhere = lake | {"state_dir": str(tmp_path / "s")}
    assert load_settings(overrides=elsewhere).state == tmp_path / "s"


def test_a_remote_lake_needs_a_local_folder_for_its_state() -> None:
    with pytest.raises(ConfigError, match="'state_dir' is empty"):
        _ = load_settings(overrides={"root": "s3a://bucket/lake", "state_dir": ""}).state


@pytest.mark.parametrize(
    ("overlay", "line", "key"),
    [
        ("spark:\n  conf:\n    spark.hadoop.fs.s3a.secret.key: abc\n", 3, "secret.key"),
        ("spark:\n  conf:\n    a: AKIAIOSFODNN7EXAMPLE\n", 3, "spark.conf.a"),
        ("spark:\n  conf:\n    x.password: hunter2\n", 3, "x.password"),
        ("online:\n  redis_url: redis://me:hunter2@host:6379\n", 2, "online.redis_url"),
        ("source:\n  kinesis:\n    endpoint_url: http://u:p@host\n", 3, "endpoint_url"),
        ("documents:\n  path: |\n    -----BEGIN RSA PRIVATE KEY-----\n", 2, "documents.path"),
        ("serving:\n  allowed_hosts: [a, ghp_0123456789abcdefghijABCDEFGHIJ012345]\n", 2, "1"),
    ],
)
def test_a_secret_in_plain_text_is_refused_with_its_line(
    conf: Path, overlay: str, line: int, key: str
) -> None:
    file = conf / "test.yml"
    file.write_text(overlay)
    with pytest.raises(ConfigError, match="a secret in plain text; take it out") as raised:
        load_settings("test", conf_dir=conf)
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert f"{key}'" in str(raised.value)
    for secret in ("hunter2", "AKIA", "abc", "ghp_"):
        assert secret not in str(raised.value)


def test_a_reference_to_a_secret_is_none(conf: Path) -> None:
    reference = "${env:STORE_PASSWORD}"
    (conf / "test.yml").write_text(f"spark:\n  conf:\n    x.password: {reference}\n")
    assert load_settings("test", conf_dir=conf).spark.conf == {"x.password": reference}


@pytest.mark.parametrize("env", ["../base", "/etc/passwd", "a b", "", "a/b", "\x00"])
def test_an_environment_is_a_name_and_no_path(conf: Path, env: str) -> None:
    with pytest.raises(ConfigError, match="names no environment"):
        load_settings(env, conf_dir=conf)


@pytest.mark.parametrize(
    "root",
    ["http://host/lake", "file:///etc", "s3a://key:word@bucket/x", "s3a:// /x", "a\nb", "jdbc:x:y"],
)
def test_a_lake_stands_in_a_folder_or_a_storage_that_is_known(root: str) -> None:
    with pytest.raises(ConfigError, match=r"^the command line: 'root'") as raised:
        load_settings(overrides={"root": root})
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(
    "root", ["lake", "/data/a lake, it's", "~/x", "s3a://bucket/a%20b", "abfss://c@a.dfs.x.net/l"]
)
def test_the_usual_places_are_fine(root: str) -> None:
    assert load_settings(overrides={"root": root}).root == root


def test_a_path_of_the_lake_does_not_lead_out_of_it(tmp_path: Path) -> None:
    settings = load_settings(overrides={"root": str(tmp_path)})
    assert settings.in_lake("a/b") == str(tmp_path / "a" / "b")
    with pytest.raises(ConfigError, match="leads out of the lake"):
        settings.in_lake("landing/../../etc")


def test_a_file_that_is_far_too_long_is_not_read(conf: Path) -> None:
    (conf / "test.yml").write_text("# " + "x" * (1 << 20))
    with pytest.raises(ConfigError, match="more than 1 MiB"):
        load_settings("test", conf_dir=conf)
