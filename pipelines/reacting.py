"""Reactions as a whole: Spark passes the matched events on, and one thread reacts on them."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from pipelines.errors import ConfigError
from pipelines.gold.dead_letters import DEAD_LETTERS
from pipelines.io.lake import locks
from pipelines.io.read import schema_of
from pipelines.io.realtime import NAME, Wanted, matched_events
from pipelines.io.stream import Stream
from pipelines.io.stream_report import StreamReport
from pipelines.io.write import Transaction, write
from pipelines.settings import CONF_DIR, Settings
from pipelines.sources.topic import end_offsets, ensure_topic
from serving import encoding
from serving.online import OnlineStore
from serving.reactions.counts import Counts
from serving.reactions.delivery import Bury, Delivery
from serving.reactions.engine import Engine
from serving.reactions.file import Webhook, load
from serving.reactions.outbox import Letter, Outbox
from serving.reactions.reactor import Reactor
from serving.reactions.registry import Reaction, declared
from serving.reactions.topics import MatchedEvents, Messages
from serving.reactions.webhook import Endpoint
from serving.stores import store_to_write

LOOK_S = 1.0  # between looks at Spark: each takes some milliseconds from the reactor


def reactions_of(settings: Settings) -> tuple[list[Reaction], dict[str, Webhook]]:
    """All reactions of the settings, and the webhooks that they may call.

    Raises:
        ConfigError: one cannot be; or the events come from no Kafka that others reach too.
    """
    kafka = settings.source.kafka
    if settings.source.kind != "kafka" or not kafka.bootstrap_servers:
        raise ConfigError(
            "reactions need source.kind: kafka and source.kafka.bootstrap_servers; set them"
        )
    found = declared(settings.reactions.modules)
    given = settings.reactions.file
    path = Path(given) if given else CONF_DIR / "reactions" / "shop.yml"
    if given and not path.is_file():
        raise ConfigError(f"reactions.file: there is no {path}; correct the setting")
    more, webhooks = load(path, [one.name for one in found])
    return [*found, *more], webhooks


def prepare(settings: Settings) -> int:
    """Make the topics that there must be; returns how many parts the source's has.

    Raises:
        BrokerError: the broker does not answer.
    """
    kafka = settings.source.kafka
    ensure_topic(kafka.bootstrap_servers, kafka.topic, kafka.partitions)
    partitions = len(end_offsets(kafka.bootstrap_servers, kafka.topic))
    ensure_topic(kafka.bootstrap_servers, matched_topic(settings), partitions)
    return partitions


def matched_topic(settings: Settings) -> str:
    """The topic of the events that some reaction is about."""
    return settings.reactions.topic or f"{settings.source.kafka.topic}-matched"


def with_room(settings: Settings, partitions: int) -> Settings:
    """The same with a local Spark of a task for each part of the topic, and one for the rest.

    In real-time mode all tasks run at once and for as long as the stream does; they mostly wait.
    """
    if not settings.spark.master.startswith("local"):
        return settings
    spark = settings.spark.model_copy(update={"master": f"local[{partitions + 1}]"})
    return settings.model_copy(update={"spark": spark})


def react(
    spark: SparkSession,
    settings: Settings,
    reactions: Sequence[Reaction],
    webhooks: dict[str, Webhook],
    counts: Counts,
    outbox: Outbox,
    *,
    ready: Callable[[], None] = lambda: None,
    until: Callable[[float], bool] = lambda idle_s: False,
) -> None:
    """React on events as they come, until stopped or until something fails for good.

    Args:
        ready: called once events are passed on.
        until: asked about every second, with the seconds since the last event, -1 before events
            are passed on; true: stop.

    Raises:
        LakehouseError: the stream or the reactor failed; nothing is lost, run it again.
    """
    stream = _stream(spark, settings, reactions)
    with (
        contextlib.closing(store_to_write(settings)) as store,
        _reactor(
            settings, store, reactions, webhooks, counts, outbox, _bury(spark, settings)
        ) as reactor,
        stream,
    ):
        started, is_ready = time.monotonic(), False
        while not stream.ended(LOOK_S):
            if reactor.error is not None:
                raise reactor.error
            if not is_ready:
                is_ready = stream.is_reading
                started = time.monotonic()
                if is_ready:
                    ready()
            idle_s = time.monotonic() - max(started, reactor.busy_at)
            if until(idle_s if is_ready else -1.0):
                return


@contextlib.contextmanager
def _reactor(
    settings: Settings,
    store: OnlineStore,
    reactions: Sequence[Reaction],
    webhooks: dict[str, Webhook],
    counts: Counts,
    outbox: Outbox,
    bury: Bury,
) -> Iterator[Reactor]:
    servers, given = settings.source.kafka.bootstrap_servers, settings.reactions
    messages = Messages(servers, settings.source.kafka.partitions)
    engine = Engine(
        store,
        reactions,
        outbox,
        messages.send,
        counts,
        webhooks=webhooks,
        alerts=given.alerts_topic,
        stock_under=given.stock_under,
        clock=encoding.now,
    )
    endpoints = [
        Endpoint(name, hook, allow_private=given.allow_private_webhooks)
        for name, hook in webhooks.items()
    ]
    matched = MatchedEvents(servers, matched_topic(settings), given.group)
    with (
        Delivery(outbox, endpoints, counts, bury) as delivery,
        Reactor(matched, engine, delivery, counts) as reactor,
    ):
        yield reactor


def _stream(spark: SparkSession, settings: Settings, reactions: Sequence[Reaction]) -> Stream:
    patterns = [one.pattern for one in reactions]
    wanted = [Wanted(p.types, p.categories, p.regions) for p in patterns]
    kafka, start = settings.source.kafka, str(settings.reactions.start)
    if start == "latest":  # as it is now, and not when Spark gets to look
        start = json.dumps({kafka.topic: end_offsets(kafka.bootstrap_servers, kafka.topic)})
    writer = matched_events(spark, settings, wanted, matched_topic(settings), start)
    stream = Stream(writer, StreamReport(settings.state, NAME))
    return stream.triggered(realTime=f"{settings.reactions.checkpoint_s} seconds")


def _bury(spark: SparkSession, settings: Settings) -> Bury:
    return partial(bury, spark, settings)


def bury(
    spark: SparkSession, settings: Settings, outbox: str, number: int, letters: Sequence[Letter]
) -> None:
    """Append dead letters to their table, once for each burial of an outbox.

    Raises:
        LockedError: another process is writing to the table.
        LakeError: it cannot be written.
    """
    rows = [
        (
            letter.id,
            letter.reaction,
            letter.webhook or None,
            letter.body,
            letter.attempts,
            letter.error,
            datetime.fromtimestamp(letter.made_at, UTC),
        )
        for letter in letters
    ]
    with locks(settings.state, [DEAD_LETTERS.name]):
        made = spark.createDataFrame(rows, schema_of(DEAD_LETTERS))
        transaction = Transaction(f"outbox-{outbox}", number, may_repeat=True)
        write(made, settings, DEAD_LETTERS, transaction=transaction)
