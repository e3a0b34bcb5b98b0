"""What the worker processes of one API have in common, made before they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from pipelines.audit import record
from pipelines.errors import ConfigError
from pipelines.settings import Settings
from serving.keys import KeyRing
from serving.rates import Rates
from serving.sender import KafkaSender, Sender
from serving.telemetry import Counts

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class Shared:
    """What the worker processes of one API have in common.

    Attributes:
        keys: of which each request needs one; None: it needs none.
        rates: how often each key has asked.
        counts: what has been answered.
        sender: takes events to the broker; None: there is none.
        hosts: accepted names in `Host`, without the port; None: any. Without keys a page on the
            web could have its own name point at 127.0.0.1 (DNS rebinding).
        access_log: each request is logged.
        audit: takes the fields of a line of the audit log; None: nobody has a name.
    """

    keys: KeyRing | None = None
    rates: Rates = field(default_factory=Rates)
    counts: Counts = field(default_factory=Counts)
    sender: Sender | None = None
    hosts: frozenset[str] | None = LOOPBACK_NAMES
    access_log: bool = False
    audit: Callable[..., None] | None = None


def shared(settings: Settings, *, is_local: bool) -> Shared:
    """What the settings ask for.

    Args:
        settings: of them `serving`, `source` and `state` count.
        is_local: nobody but this machine can reach the API.

    Raises:
        ConfigError: keys are needed and there are none.
    """
    serving, kafka = settings.serving, settings.source.kafka
    needs_keys = serving.require_keys or not is_local
    keys = KeyRing(settings.api_keys) if needs_keys else None
    if keys is not None and not len(keys):
        raise ConfigError(
            f"serving.host is {serving.host!r} and there are no API keys; make one with"
            " `lakehouse keys add NAME --scope read`"
            + ("" if is_local else ", or bind to 127.0.0.1")
        )
    has_broker = settings.source.kind == "kafka" and kafka.bootstrap_servers
    return Shared(
        keys=keys,
        counts=Counts(serving.workers),
        sender=KafkaSender(kafka) if has_broker else None,
        hosts=_hosts(serving.allowed_hosts, needs_keys),
        access_log=serving.access_log,
        audit=_audit(settings) if keys is not None else None,
    )


def _audit(settings: Settings) -> Callable[..., None]:
    at_most = settings.audit.max_mb << 20
    return partial(record, settings.state, at_most, settings.audit.keep_files, kind="request")


def _hosts(named: Iterable[str], has_keys: bool) -> frozenset[str] | None:
    further = frozenset(name.lower() for name in named)
    return None if has_keys and not further else LOOPBACK_NAMES | further
