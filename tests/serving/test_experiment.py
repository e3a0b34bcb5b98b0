"""Customers are dealt to the arms for good, and what they are shown is told."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from given_model import some_model

from pipelines.errors import BrokerError
from serving.experiment import CHALLENGER, CHAMPION, Experiment, teller
from serving.lmdb_store import LmdbStore
from serving.recommender.champion import CURRENT, Champion
from serving.server import BackgroundServer
from serving.shared import Shared

AT = datetime(2017, 12, 31, tzinfo=UTC)
CUSTOMERS = [f"c{n}" for n in range(4000)]


class Broker:
    """Keeps what it is sent, after so many refusals."""

    def __init__(self, *, refusals: int = 0) -> None:
        self.taken: list[dict[str, Any]] = []
        self._refusals = refusals

    async def send(self, events: Sequence[tuple[bytes, bytes]]) -> None:
        if self._refusals:
            self._refusals -= 1
            raise BrokerError("it is away")
        self.taken += [json.loads(payload) for _, payload in events]


@pytest.fixture
def champion(tmp_path: Path) -> Iterator[Champion]:
    store = LmdbStore(tmp_path / "online")
    store.publish("histories", [("someone", {})], version="1", published_at=AT)
    entries = []
    for number, name in enumerate((CURRENT, CHALLENGER), start=1):
        digest = some_model(number).save(tmp_path / name)
        entry = {"folder": name, "digest": digest, "model_version": str(number)}
        more = {"experiment": "blend", "permille": 300} if name == CHALLENGER else {}
        entries.append((name, entry | more))
    store.publish("model", entries, version="1", published_at=AT)
    yield Champion(store, tmp_path)
    store.close()


@pytest.mark.parametrize("permille", [1, 300, 500, 999])
def test_a_customer_keeps_the_arm_and_the_arms_have_their_sizes(permille: int) -> None:
    experiment = Experiment("blend", permille)
    arms = [experiment.arm(one) for one in CUSTOMERS]
    assert arms == [Experiment("blend", permille).arm(one) for one in CUSTOMERS]
    expected = len(CUSTOMERS) * permille / 1000
    spread = (expected * (1 - permille / 1000)) ** 0.5
    assert abs(arms.count(CHALLENGER) - expected) < 4 * spread + 1
    assert set(arms) <= {CHAMPION, CHALLENGER}


def test_arms_are_those_of_every_other_process_and_release() -> None:
    dealt = [Experiment("blend", 500).arm(f"c{n}") == CHALLENGER for n in range(16)]
    assert "".join("AB"[is_challenger] for is_challenger in dealt) == "BAABABAABAAABABB"


def test_a_larger_share_moves_nobody_back_and_another_name_deals_anew() -> None:
    few = {one for one in CUSTOMERS if Experiment("blend", 200).arm(one) == CHALLENGER}
    more = {one for one in CUSTOMERS if Experiment("blend", 400).arm(one) == CHALLENGER}
    other = {one for one in CUSTOMERS if Experiment("next", 200).arm(one) == CHALLENGER}
    assert few < more
    assert len(few & other) == pytest.approx(len(CUSTOMERS) * 0.04, rel=0.5)


def test_each_arm_is_answered_by_its_model_and_every_list_is_told(champion: Champion) -> None:
    broker = Broker()
    with (
        BackgroundServer(
            champion._store, champion=champion, common=Shared(sender=broker)
        ) as server,
        httpx.Client() as client,
    ):
        answers = [
            client.get(f"{server.url}/v1/recommendations/{one}", params={"region": "north"}).json()
            for one in CUSTOMERS[:40]
        ]
        again = client.get(f"{server.url}/v1/recommendations/c0?k=3&region=north").json()
    assert {answer["arm"] for answer in answers} == {CHAMPION, CHALLENGER}
    for answer in answers:
        version = {CHAMPION: "1", CHALLENGER: "2"}[answer["arm"]]
        assert (answer["model_version"], answer["experiment"]) == (version, "blend")
    assert (again["arm"], again["items"]) == (answers[0]["arm"], answers[0]["items"][:3])
    told = {event["customer_id"]: event for event in broker.taken[:40]}
    assert len(broker.taken) == 41 and set(told) == set(CUSTOMERS[:40])
    for answer in answers:
        event = told[answer["customer_id"]]
        items = [item["item_id"] for item in answer["items"]]
        assert event["attributes"] == {
            **{name: answer[name] for name in ("experiment", "arm", "model_version")},
            "challenger_permille": 300,
            "items": items,
        }
        assert (event["item_id"], event["region"]) == (items[0], "north")
        assert event["event_type"] == "impression"
        assert datetime.fromisoformat(event["occurred_at"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize("sender", [None, Broker(refusals=99)])
def test_an_answer_does_not_depend_on_the_broker(champion: Champion, sender: Broker | None) -> None:
    with BackgroundServer(
        champion._store, champion=champion, common=Shared(sender=sender)
    ) as server:
        answer = httpx.get(f"{server.url}/v1/recommendations/c1")
    assert answer.status_code == 200 and answer.json()["items"]


def told_by(sender: Broker | None, count: int) -> None:
    """Tell so many impressions and let all that follows from it end."""

    async def run() -> None:
        tell = teller(sender)
        for number in range(count):
            tell({"event_id": str(number), "customer_id": "c1"})
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    asyncio.run(run())


def test_an_impression_that_is_refused_is_sent_once_more() -> None:
    broker = Broker(refusals=1)
    told_by(broker, 1)
    assert [event["event_id"] for event in broker.taken] == ["0"]


@pytest.mark.parametrize(
    ("sender", "why"), [(Broker(refusals=99), "it is away"), (None, "set source.kafka")]
)
def test_lost_impressions_are_logged_but_not_each(
    caplog: pytest.LogCaptureFixture, sender: Broker | None, why: str
) -> None:
    told_by(sender, 5)
    (record,) = caplog.records
    assert "impressions are lost" in record.getMessage() and why in record.getMessage()


def test_a_challenger_that_is_damaged_ends_the_experiment_and_keeps_no_champion_back(
    champion: Champion, tmp_path: Path
) -> None:
    assert champion.experiment == "blend"
    next_digest = some_model(3).save(tmp_path / "3")
    entries = [
        (CURRENT, {"folder": "3", "digest": next_digest, "model_version": "3"}),
        (CHALLENGER, {"folder": "4", "digest": "0", "model_version": "4", "experiment": "blend",
                      "permille": 999}),
    ]  # fmt: skip
    champion._store.publish("model", entries, version="3", published_at=AT)
    assert champion.refresh() and champion.refused.startswith("challenger: ")
    chosen = [one for customer in CUSTOMERS[:20] if (one := champion.choice(customer))]
    assert {(one.version, one.experiment, one.arm) for one in chosen} == {("3", None, None)}
    assert len(chosen) == 20 and champion.experiment is None
    assert not champion.refresh()


def test_without_an_experiment_nobody_is_dealt(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "online")
    store.publish("histories", [("someone", {})], version="1", published_at=AT)
    entry = {"folder": "1", "digest": some_model().save(tmp_path / "1"), "model_version": "1"}
    store.publish("model", [(CURRENT, entry)], version="1", published_at=AT)
    broker = Broker()
    with BackgroundServer(
        store, champion=Champion(store, tmp_path), common=Shared(sender=broker)
    ) as server:
        answer = httpx.get(f"{server.url}/v1/recommendations/c2").json()
    store.close()
    assert (answer["experiment"], answer["arm"], broker.taken) == (None, None, [])
