"""Messages that no table may take, as docs/event.md and the rules of JSON have it."""

from collections.abc import Callable
from typing import Any

# Variety -> the reason that must be given, and the bytes of it.
Change = Callable[[dict[str, Any]], dict[str, Any]]
REFUSED: dict[str, tuple[str, Change]] = {
    "bad quantity": ("quantity_out_of_range", lambda e: {"quantity": -3}),
    "bad fraction": ("quantity_unreadable", lambda e: {"quantity": "2.5 kg"}),
    "bad price": ("price_cents_unreadable", lambda e: {"price_cents": "1e309"}),
    "bad currency": ("currency_unknown", lambda e: {"currency": "XXQ"}),
    "bad date": ("occurred_at_unreadable", lambda e: {"occurred_at": "0000-00-00"}),
    "bad epoch": ("occurred_at_unreadable", lambda e: {"occurred_at": 1488362400000}),
    "bad century": ("occurred_at_out_of_range", lambda e: {"occurred_at": "2222-01-01T00:00:00Z"}),
    "bad id": ("event_id_not_uuid", lambda e: {"event_id": "1"}),
    "bad text": ("region_malformed", lambda e: {"region": "a\u202eb\x00"}),
    "drift: renamed": ("price_cents_missing", lambda e: {"price_cents": None, "priceCents": 5}),
}
UNREADABLE: dict[str, tuple[str, bytes | None]] = {
    "bad empty": ("empty", b""),
    "bad tombstone": ("empty", None),
    "bad root": ("not_a_json_object", b"[1, 2]"),
    "bad number": ("not_a_json_object", b"-0"),
    "bad end": ("malformed_json", b'{"event_type": "purchase", "event_id": "'),
    "bad type": ("event_type_unknown", b'{"event_type": "refund"}'),
    "bad untyped": ("event_type_missing", b'{"__proto__": {"a.b": 1}}'),
    "bad bytes": ("not_utf8", b"\xff\xfe\x00"),
    "bad size": ("malformed_json", b'{"event_type": "click", "title": "' + b"x" * 200_000),
}
