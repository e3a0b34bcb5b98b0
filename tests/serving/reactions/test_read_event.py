"""What can be reacted on, and what is left to the lake's quarantine."""

import json

import pytest
from given import event
from reacted import parsed

from serving.encoding import now
from serving.reactions.event import TYPES, parse


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_of_event_is_known(kind: str) -> None:
    found = parsed(event(kind, 7))
    assert (found.type, found.item_id, found.category) == (kind, "i1", "DAIRY")
    assert found.stamp == (1_488_362_400_000_000, "00000000-0000-0000-0000-000000000007")


def test_a_time_without_zone_is_utc_and_others_are_told_in_it() -> None:
    times = [event("click", 1, occurred_at=t) for t in ("2017-03-01T10:00", "2017-03-01T11:00+01")]
    assert {parsed(one).at for one in times} == {1_488_362_400_000_000}


BAD = [
    *(b"", b"null", b"[]", b"7", b"{", b"\xff", b'"x"', b"[" * 5000),
    *(
        json.dumps(event("purchase", 1) | wrong).encode()
        for wrong in (
            {"event_type": "refund"},
            {"event_type": ["click"]},
            {"item_id": None},
            {"item_id": "\ud800"},
            {"item_id": "x" * 129},
            {"event_id": 5},
            {"occurred_at": "soon"},
            {"occurred_at": 1_488_362_400},
            {"occurred_at": "1970-01-01T00:00:00Z"},
            {"occurred_at": "2099-01-01T00:00:00Z"},
            {"quantity": 0},
            {"quantity": True},
            {"quantity": 1.5},
            {"quantity": 10**30},
            {"price_cents": "150"},
            {"currency": None},
            {"region": ""},
        )
    ),
]


@pytest.mark.parametrize("payload", [None, *BAD], ids=lambda payload: str(payload)[:40])
def test_what_is_not_whole_is_no_event(payload: bytes | None) -> None:
    assert parse(payload, now()) is None
