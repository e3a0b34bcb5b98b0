"""Settings: `conf/base.yml`, overlaid by `conf/<environment>.yml`, as one frozen object.

Precedence, lowest first: base.yml, the overlay, command-line overrides. An unknown key, a missing
file or a wrong type is a `ConfigError` that names the file and the line.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml.comments import CommentedMap

from pipelines.errors import ConfigError
from pipelines.plaintext import is_secret
from pipelines.yaml_file import locate, plain, read_yaml

# A folder, or a URI of a storage that Spark writes to, without a user and a password in it.
ROOT = r"^((s3a?|abfss?|gs|hdfs|dbfs)://[^\s:/?#]+(:\d+)?(/[^\s?#]*)?|[^\x00-\x1f:]+)$"
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
    """What a continuous ingest does beside it: answer scrapes of Prometheus, refresh views."""

    metrics_host: str = Field(min_length=1)
    metrics_port: int = Field(ge=0, le=65535)
    refresh: list[str]


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


class PromotionSettings(_Section):
    """What keeps a challenger from becoming champion, however well it ranks."""

    max_null_share: float = Field(ge=0, le=1)
    max_popular_growth: float = Field(ge=1)
    min_coverage_kept: float = Field(ge=0, le=1)
    max_latency_ms: float = Field(gt=0)


class ModelSettings(_Section):
    """The recommender: item models at several moments, and a ranker over what followed each."""

    test_weeks: int = Field(ge=1)
    periods: int = Field(ge=1)
    min_interactions: int = Field(ge=1)
    learned_items: int = Field(ge=2)
    min_item_customers: int = Field(ge=1)
    ridge: float = Field(gt=0)
    neighbours: int = Field(ge=1)
    linear_customers: int = Field(ge=1)
    rank: int = Field(ge=1)
    iterations: int = Field(ge=1)
    regularization: float = Field(ge=0)
    alpha: float = Field(gt=0)
    trees: int = Field(ge=1)
    depth: int = Field(ge=1, le=8)
    step: float = Field(gt=0, le=1)
    negatives: float = Field(gt=0, le=1)
    top_k: int = Field(ge=1, le=100)
    batch: int = Field(ge=1)
    guards: PromotionSettings
    seed: int
    tracking_uri: str


class ExperimentSettings(_Section):
    """A comparison of champion and challenger on customers; an empty name: none runs."""

    name: str = Field(pattern=r"^[a-z0-9-]{0,64}$")
    challenger_permille: int = Field(ge=1, le=999)


class OnlineSettings(_Section):
    """Where hot answers are kept; `LAKEHOUSE_REDIS_PASSWORD` is an environment variable."""

    kind: Literal["lmdb", "redis"]
    redis_url: str = Field(pattern=r"^(rediss?://[^@/\s]+(/\d+)?|unix:///[^@\s]+)$")
    redis_user: str
    redis_prefix: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    timeout_s: float = Field(gt=0)
    ttl_s: dict[str, float]


class ReactionsSettings(_Section):
    """What is done about events that cannot wait; docs/reactions.md."""

    file: str
    modules: list[str]
    start: Literal["latest", "earliest"]
    stock_under: int = Field(ge=1)
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{0,249}$")
    alerts_topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    group: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    checkpoint_s: int = Field(ge=5)  # spark.sql.streaming.realTimeMode.minBatchDuration
    allow_private_webhooks: bool
    metrics_host: str = Field(min_length=1)
    metrics_port: int = Field(ge=0, le=65535)


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


class QuerySettings(_Section):
    """What `lakehouse query` may read, and how much of the machine one question may take."""

    tables: list[Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_*]+$")]]
    max_rows: int = Field(ge=1)
    timeout_s: float = Field(gt=0)


class AuditSettings(_Section):
    """How much is kept of who asked for what."""

    max_mb: int = Field(ge=1)
    keep_files: int = Field(ge=0, le=1000)


class PricingSettings(_Section):
    """Demand by price, and the guard rails within which a price is suggested."""

    weeks: int = Field(ge=8)
    test_weeks: int = Field(ge=1)
    min_items: int = Field(ge=1)
    memory: float = Field(gt=0, lt=1)
    start_weeks: float = Field(gt=0)
    item_precision: float = Field(gt=0)
    min_week_count: int = Field(ge=1)
    cost_share: float = Field(gt=0, lt=1)
    margin_floor: float = Field(ge=0, lt=1)
    largest_step: float = Field(gt=0, lt=1)
    largest_distance: float = Field(gt=0, lt=1)
    confidence: float = Field(ge=0.5, lt=1)
    low_cover_days: float = Field(ge=0)
    high_cover_days: float = Field(gt=0)
    apply: bool


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
    root: str = Field(pattern=ROOT)
    state_dir: str
    source: SourceSettings
    ingest: IngestSettings
    documents: DocumentsSettings
    dedup: DedupSettings
    s3: S3Settings
    maintain: MaintainSettings
    spark: SparkSettings
    model: ModelSettings
    experiment: ExperimentSettings
    online: OnlineSettings
    reactions: ReactionsSettings
    hot: HotSettings
    search: SearchSettings
    query: QuerySettings
    audit: AuditSettings
    pricing: PricingSettings
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
        if ".." in Path(path).parts:
            raise ConfigError(f"{path!r} leads out of the lake; write an absolute path or a URI")
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
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", env):
        raise ConfigError(f"{env!r:.80} names no environment; use A-Z a-z 0-9 _ -")
    base, overlay = _read_yaml(base_file), _read_yaml(overlay_file)
    merged: dict[str, Any] = {"env": env} | _merge(base, overlay)
    _refuse_secrets(overlay_file, overlay)
    _refuse_secrets(base_file, base)
    for dotted, value in (overrides or {}).items():
        if is_secret("", str(value)):
            raise ConfigError(f"the command line: '{dotted}' holds a secret; take it out")
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


def _refuse_secrets(path: Path, document: Mapping[str, Any]) -> None:
    """Settings are committed: what is secret comes from the environment or a secret scope."""

    def walk(node: Any, key: tuple[str | int, ...]) -> None:
        if isinstance(node, Mapping | list):
            entries = node.items() if isinstance(node, Mapping) else enumerate(node)
            for name, below in entries:
                walk(below, (*key, name))
        elif isinstance(node, str) and is_secret(str(key[-1]), node):
            raise ConfigError(
                f"{locate(key, (path, document))}: '{'.'.join(map(str, key))}' holds a secret in "
                "plain text; take it out, make a new one, and set that in the environment"
            )

    walk(document, ())


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
