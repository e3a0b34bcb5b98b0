"""Settings: `conf/base.yml`, overlaid by `conf/<environment>.yml`, as one frozen object.

Precedence, lowest first: base.yml, the overlay, command-line overrides. An unknown key, a missing
file or a wrong type is a `ConfigError` that names the file and the line.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml.comments import CommentedMap

from pipelines.errors import ConfigError
from pipelines.yaml_file import locate, plain, read_yaml

CONF_DIR = Path(__file__).resolve().parent.parent / "conf"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class KafkaSettings(_Section):
    """Where the events come from when `source.kind` is `kafka`."""

    bootstrap_servers: str
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    partitions: int = Field(ge=1)
    max_offsets_per_trigger: int = Field(ge=1)


class KinesisSettings(_Section):
    """Where the events come from when `source.kind` is `kinesis`; credentials are boto3's own."""

    stream: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    region: str = Field(min_length=1)
    endpoint_url: str
    start: Literal["TRIM_HORIZON", "LATEST"]
    reader: Literal["python", "databricks", "emr"]
    max_records_per_trigger: int = Field(ge=1)


class FilesSettings(_Section):
    """Where the events come from when `source.kind` is `files`."""

    path: str
    format: Literal["json", "csv", "parquet"]
    max_files_per_trigger: int = Field(ge=1)


class SourceSettings(_Section):
    kind: Literal["kafka", "kinesis", "files"]
    kafka: KafkaSettings
    kinesis: KinesisSettings
    files: FilesSettings


class IngestSettings(_Section):
    """Where a continuous ingest answers scrapes of Prometheus."""

    metrics_host: str = Field(min_length=1)
    metrics_port: int = Field(ge=0, le=65535)


class DocumentsSettings(_Section):
    """Where descriptions, reviews and images land, and how much one of them may cost."""

    path: str = Field(min_length=1)
    max_bytes: int = Field(ge=1, lt=2**31)  # Spark holds a file in one array
    max_seconds: float = Field(gt=0)
    max_files_per_batch: int = Field(ge=1)
    every_s: float = Field(gt=0)


class S3Settings(_Section):
    """The service behind `s3a://`; its credentials come from the AWS chain, never from here."""

    endpoint: str = Field(pattern=r"^(https?://[^/\s]+/?)?$")
    region: str
    path_style: bool


class MaintainSettings(_Section):
    """When a table is rewritten, how, and how long what it no longer shows is kept."""

    max_small_files: int = Field(ge=1)
    file_mb: int = Field(ge=1)
    cube_mb: int = Field(ge=1)
    max_deleted_share: float = Field(gt=0, lt=1)
    retention_hours: int = Field(ge=168)  # a transaction that runs longer would lose its files
    attempts: int = Field(ge=1)
    every_s: float = Field(gt=0)


class SparkSettings(_Section):
    master: str
    driver_memory: str = Field(pattern=r"^\d+[mg]$")
    shuffle_partitions: int = Field(ge=1)
    conf: dict[str, str]


class DedupSettings(_Section):
    horizon_days: int = Field(ge=1)


class ModelSettings(_Section):
    """The recommender: implicit ALS on purchase counts, the last `test_weeks` held out."""

    rank: int = Field(ge=1)
    iterations: int = Field(ge=1)
    regularization: float = Field(ge=0)
    alpha: float = Field(gt=0)
    min_item_purchases: int = Field(ge=1)
    min_interactions: int = Field(ge=1)
    test_weeks: int = Field(ge=1)
    top_k: int = Field(ge=1)
    seed: int
    tracking_uri: str


class OnlineSettings(_Section):
    """Where hot answers are kept; `LAKEHOUSE_REDIS_PASSWORD` is an environment variable."""

    kind: Literal["lmdb", "redis"]
    redis_url: str = Field(pattern=r"^(rediss?://[^@/\s]+(/\d+)?|unix:///[^@\s]+)$")
    redis_user: str
    redis_prefix: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    timeout_s: float = Field(gt=0)
    ttl_s: dict[str, float]


class HotSettings(_Section):
    """Over which time the hot lists are counted; see `serving.hot_counts`."""

    window_s: float = Field(gt=0)
    trend_s: float = Field(gt=0)
    keep: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.trend_s >= self.window_s:
            raise ValueError("trend_s must be less than window_s")
        return self


class SearchSettings(_Section):
    """The order of search results: what is remembered, and how its weights are learned."""

    language: Literal[
        "", "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek",
        "hungarian", "italian", "norwegian", "portuguese", "romanian", "russian", "spanish",
        "swedish", "tamil", "turkish",
    ]  # fmt: skip
    popularity_days: float = Field(gt=0)
    taste_days: float = Field(gt=0)
    fit_weeks: int = Field(ge=1)
    fit_queries: int = Field(ge=1)
    min_queries: int = Field(ge=1)
    seed: int


class ServingSettings(_Section):
    """The API; away from this machine it needs keys (`lakehouse keys add`)."""

    host: str
    port: int = Field(ge=0, le=65535)
    workers: int = Field(ge=1, le=256)
    require_keys: bool
    allowed_hosts: list[str]
    access_log: bool


class Settings(_Section):
    """Everything that can differ between environments."""

    env: str
    root: str = Field(min_length=1)
    state_dir: str
    source: SourceSettings
    ingest: IngestSettings
    documents: DocumentsSettings
    dedup: DedupSettings
    s3: S3Settings
    maintain: MaintainSettings
    spark: SparkSettings
    model: ModelSettings
    online: OnlineSettings
    hot: HotSettings
    search: SearchSettings
    serving: ServingSettings

    @property
    def state(self) -> Path:
        """The local folder of what is not a table: lock, ledger, broker, MLflow, online store."""
        if self.state_dir:
            return Path(self.state_dir).expanduser().absolute()
        if "://" in self.root:
            raise ConfigError(
                f"'state_dir' is empty and the lake is at {self.root}; set it to a local folder"
            )
        return Path(self.root).expanduser().absolute() / "_state"

    @property
    def api_keys(self) -> Path:
        """The digests of the API's keys."""
        return self.state / "api-keys.json"

    def in_lake(self, path: str) -> str:
        """A folder or URI; a relative path is meant from the lake's root."""
        if "://" in path or Path(path).is_absolute():
            return path
        if "://" in self.root:
            return f"{self.root.rstrip('/')}/{path}"
        return str(Path(self.root).expanduser().absolute() / path)


def load_settings(
    env: str = "local",
    *,
    overrides: Mapping[str, Any] | None = None,
    conf_dir: Path = CONF_DIR,
) -> Settings:
    """The settings of one environment.

    Args:
        env: name of the overlay file in `conf_dir`, without `.yml`.
        overrides: dotted keys to values, e.g. `{"root": "/data/lake"}`; the last word.
        conf_dir: the folder that holds `base.yml`.

    Raises:
        ConfigError: a file is missing or malformed, a key unknown, a value of the wrong type.
    """
    base_file, overlay_file = conf_dir / "base.yml", conf_dir / f"{env}.yml"
    base, overlay = _read_yaml(base_file), _read_yaml(overlay_file)
    merged: dict[str, Any] = {"env": env} | _merge(base, overlay)
    for dotted, value in (overrides or {}).items():
        _put(merged, dotted.split("."), value)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = tuple(str(part) for part in first["loc"])
        is_given = any(key[: len(given)] == given for given in _paths(overrides or {}))
        where = (
            "the command line"
            if is_given
            else locate(key, (overlay_file, overlay), (base_file, base))
        )
        raise ConfigError(
            f"{where}: '{'.'.join(key)}': {plain(first)}; correct the file or see conf/base.yml"
        ) from None


def _read_yaml(path: Path) -> CommentedMap:
    if not path.is_file():
        known = ", ".join(sorted(f.stem for f in path.parent.glob("*.yml") if f.stem != "base"))
        raise ConfigError(f"{path}: no such settings file; environments here: {known or 'none'}")
    return read_yaml(path, ConfigError)


def _merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(below, value) if both and below is not None else value
    return merged


def _paths(overrides: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [tuple(dotted.split(".")) for dotted in overrides]


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        below = tree.get(part)
        if below is not None and not isinstance(below, Mapping):
            raise ConfigError(f"'{'.'.join(path)}': '{part}' holds one value, no keys")
        tree[part] = dict(below or {})
        tree = tree[part]
    tree[path[-1]] = value
