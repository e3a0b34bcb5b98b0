"""The sections of the settings: what each may hold; `conf/base.yml` says what each is for."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class KafkaSettings(Section):
    """Where the events come from when `source.kind` is `kafka`."""

    bootstrap_servers: str
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    partitions: int = Field(ge=1)
    max_offsets_per_trigger: int = Field(ge=1)


class KinesisSettings(Section):
    """Where the events come from when `source.kind` is `kinesis`; credentials are boto3's own."""

    stream: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    region: str = Field(min_length=1)
    endpoint_url: str
    start: Literal["TRIM_HORIZON", "LATEST"]
    reader: Literal["python", "databricks", "emr"]
    max_records_per_trigger: int = Field(ge=1)


class FilesSettings(Section):
    """Where the events come from when `source.kind` is `files`."""

    path: str
    format: Literal["json", "csv", "parquet"]
    max_files_per_trigger: int = Field(ge=1)


class SourceSettings(Section):
    kind: Literal["kafka", "kinesis", "files"]
    kafka: KafkaSettings
    kinesis: KinesisSettings
    files: FilesSettings


class IngestSettings(Section):
    """What a continuous ingest does beside it: answer scrapes of Prometheus, refresh views."""

    metrics_host: str = Field(min_length=1)
    metrics_port: int = Field(ge=0, le=65535)
    refresh: list[str]


class DocumentsSettings(Section):
    """Where descriptions, reviews and images land, and how much one of them may cost."""

    path: str = Field(min_length=1)
    max_bytes: int = Field(ge=1, lt=2**31)  # Spark holds a file in one array
    max_seconds: float = Field(gt=0)
    max_files_per_batch: int = Field(ge=1)
    every_s: float = Field(gt=0)


class S3Settings(Section):
    """The service behind `s3a://`; its credentials come from the AWS chain, never from here."""

    endpoint: str = Field(pattern=r"^(https?://[^/\s]+/?)?$")
    region: str
    path_style: bool


class MaintainSettings(Section):
    """When a table is rewritten, how, and how long what it no longer shows is kept."""

    max_small_files: int = Field(ge=1)
    file_mb: int = Field(ge=1)
    cube_mb: int = Field(ge=1)
    max_deleted_share: float = Field(gt=0, lt=1)
    retention_hours: int = Field(ge=168)  # a transaction that runs longer would lose its files
    attempts: int = Field(ge=1)
    every_s: float = Field(gt=0)


class SparkSettings(Section):
    master: str
    driver_memory: str = Field(pattern=r"^\d+[mg]$")
    shuffle_partitions: int = Field(ge=1)
    conf: dict[str, str]


class DedupSettings(Section):
    horizon_days: int = Field(ge=1)


class PromotionSettings(Section):
    """What keeps a challenger from becoming champion, however well it ranks."""

    max_null_share: float = Field(ge=0, le=1)
    max_popular_growth: float = Field(ge=1)
    min_coverage_kept: float = Field(ge=0, le=1)
    max_latency_ms: float = Field(gt=0)


class ModelSettings(Section):
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


class ExperimentSettings(Section):
    """A comparison of champion and challenger on customers; an empty name: none runs."""

    name: str = Field(pattern=r"^[a-z0-9-]{0,64}$")
    challenger_permille: int = Field(ge=1, le=999)


class OnlineSettings(Section):
    """Where hot answers are kept; `LAKEHOUSE_REDIS_PASSWORD` is an environment variable."""

    kind: Literal["lmdb", "redis"]
    redis_url: str = Field(pattern=r"^(rediss?://[^@/\s]+(/\d+)?|unix:///[^@\s]+)$")
    redis_user: str
    redis_prefix: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    timeout_s: float = Field(gt=0)
    ttl_s: dict[str, float]


class ReactionsSettings(Section):
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


class HotSettings(Section):
    """Over which time the hot lists are counted; see `serving.hot_counts`."""

    window_s: float = Field(gt=0)
    trend_s: float = Field(gt=0)
    keep: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.trend_s >= self.window_s:
            raise ValueError("trend_s must be less than window_s")
        return self


class SearchSettings(Section):
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


class QuerySettings(Section):
    """What `lakehouse query` may read, and how much of the machine one question may take."""

    tables: list[Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_*]+$")]]
    max_rows: int = Field(ge=1)
    timeout_s: float = Field(gt=0)


class AuditSettings(Section):
    """How much is kept of who asked for what."""

    max_mb: int = Field(ge=1)
    keep_files: int = Field(ge=0, le=1000)


class PricingSettings(Section):
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


class ServingSettings(Section):
    """The API; away from this machine it needs keys (`lakehouse keys add`)."""

    host: str
    port: int = Field(ge=0, le=65535)
    workers: int = Field(ge=1, le=256)
    require_keys: bool
    allowed_hosts: list[str]
    access_log: bool
