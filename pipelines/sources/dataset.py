"""What `produce` can send: the built-in data set, or a file of the user's through a mapping."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.errors import MappingError
from pipelines.sources import completejourney, mapping
from pipelines.sources.connection import Kafka
from pipelines.sources.produce import ProduceResult, produce

BUILT_IN = "complete-journey"


@dataclass(frozen=True)
class Dataset:
    """Events that are the same at every reading, told apart by `fingerprint`."""

    name: str
    fingerprint: str
    events: Callable[[], Iterable[tuple[bytes, bytes]]]


def open_dataset(what: str, *, map_file: Path | None, seed: int, limit: int | None) -> Dataset:
    """The data set of that name, or the file of that path read through `map_file`.

    Raises:
        MappingError: no such data set or file, no mapping, or one that does not fit the file.
    """
    if what == BUILT_IN:
        return Dataset(
            BUILT_IN,
            completejourney.fingerprint(seed, limit),
            partial(completejourney.events, seed=seed, limit=limit),
        )
    file = Path(what)
    if not file.is_file():
        raise MappingError(f"no file {what}; name a file, or the data set {BUILT_IN}")
    if map_file is None:
        raise MappingError(
            f"{what} needs a mapping; name one with --map, e.g. conf/mappings/invoices.yml"
        )
    loaded = mapping.load_mapping(map_file)
    return Dataset(
        file.stem, mapping.fingerprint(file, loaded), partial(mapping.mapped_events, file, loaded)
    )


def send(
    dataset: Dataset, broker: Kafka, *, rate: int | None, progress: Callable[[int], None]
) -> ProduceResult:
    """Send a data set to the broker once, with its ledger in the lake's state folder."""

    def report(acknowledged: int) -> None:
        broker.check_alive()
        progress(acknowledged)

    kafka = broker.settings.source.kafka
    return produce(
        dataset.events(),
        settings_kafka=kafka,
        bootstrap_servers=kafka.bootstrap_servers,
        ledger_dir=broker.settings.state / "ledger",
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        rate=rate,
        progress=report,
    )
