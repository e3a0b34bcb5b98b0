"""The model's life on a small lake: train, evaluate, promote, recommend, publish, answer, back."""

from pathlib import Path

import httpx
import pytest
from pyspark.sql import SparkSession

from ml import jobs, tracking
from ml.batch import recommend_batch
from ml.features import histories_at, lines
from ml.publish import publish
from pipelines.errors import ModelError
from pipelines.gold.recommendations import PARTS, RECOMMENDATIONS
from pipelines.io.read import read, version_of
from pipelines.settings import Settings
from serving.lmdb_store import LmdbStore
from serving.recommender.champion import Champion
from serving.server import BackgroundServer


def listed(spark: SparkSession, settings: Settings) -> list[tuple[object, ...]]:
    rows = read(spark, settings, RECOMMENDATIONS.name).orderBy("customer_id", "rank").collect()
    return [(row["customer_id"], row["rank"], row["item_id"]) for row in rows]


def test_the_whole_life(
    spark: SparkSession, golden_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = golden_lake
    first = jobs.train_model(spark, settings)
    assert jobs.train_model(spark, settings) == first, "the same data is not trained on again"
    assert "not evaluated" in jobs.promote_model(settings).reason
    judged = jobs.evaluate_model(spark, settings)
    assert judged.lift is None and 0 < judged.model.ndcg <= 1
    assert jobs.promote_model(settings).promoted
    assert "already" in jobs.promote_model(settings).reason
    with pytest.raises(ModelError, match="nothing to roll back to"):
        jobs.roll_back(settings)

    whole = listed(spark, jobs_done(spark, settings))
    assert whole and len({row[:2] for row in whole}) == len(whole)
    in_parts_and_interrupted(spark, settings, monkeypatch)
    assert listed(spark, settings) == whole

    store = LmdbStore(settings.state / "online")
    try:
        publish(spark, settings, store)
        answers(settings, store, whole, first.version)
    finally:
        store.close()

    other = settings.model_copy(update={"model": settings.model.model_copy(update={"ridge": 7.0})})
    second = jobs.train_model(spark, other)
    assert second.version != first.version
    assert "not compared with version" in jobs.promote_model(other).reason
    compared = jobs.evaluate_model(spark, other)
    assert compared.lift is not None
    decision = jobs.promote_model(other)
    assert decision.promoted is compared.lift.is_sure
    tracking.point_alias(other, tracking.PREVIOUS, first)
    tracking.point_alias(other, tracking.CHAMPION, second)
    assert jobs.roll_back(other).promoted
    back = tracking.by_alias(other, tracking.CHAMPION)
    assert back.version == first.version
    assert not jobs.roll_back(other).promoted, "twice comes to the same"


def test_without_a_champion_or_a_view_there_is_nothing_to_publish(
    spark: SparkSession, lake: Settings
) -> None:
    store = LmdbStore(lake.state / "online")
    with pytest.raises(ModelError, match="nothing to publish yet; run `lakehouse refresh`"):
        publish(spark, lake, store)
    store.close()


def jobs_done(spark: SparkSession, settings: Settings) -> Settings:
    jobs.recommend_items(spark, settings)
    return settings


def in_parts_and_interrupted(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch in parts that dies after the first one goes on with the second."""
    champion = tracking.by_alias(settings, tracking.CHAMPION)
    model = tracking.model_of(settings, champion, tracking.SERVED)
    data = version_of(spark, settings, "silver.purchases")
    rows = lines(read(spark, settings, "silver.purchases"))
    people = histories_at(rows, jobs.end_of(rows), model.item_ids.tolist()).persist()
    few = people.count() // 3 + 1
    small = settings.model_copy(update={"model": settings.model.model_copy(update={"batch": few})})
    import ml.batch

    calls, write = [], ml.batch.write

    def dies(*args: object, **how: object) -> bool:
        calls.append(args[2])
        if len(calls) == 2:
            raise RuntimeError("killed")
        return write(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(ml.batch, "write", dies)
    version = version_of(spark, settings, RECOMMENDATIONS.name)
    with pytest.raises(RuntimeError, match="killed"):
        recommend_batch(people, model, small, "again", data)
    assert version_of(spark, settings, RECOMMENDATIONS.name) == version, "readers see no part"
    assert not read(spark, settings, PARTS.name).isEmpty()
    calls.clear()
    calls.append("the second write does not die now")
    calls.append("")
    assert recommend_batch(people, model, small, "again", data)
    assert calls[2:] == [PARTS, PARTS, RECOMMENDATIONS], "the first part is not repeated"
    assert read(spark, settings, PARTS.name).isEmpty()
    assert not recommend_batch(people, model, small, "again", data), "it stands already"
    people.unpersist()


def answers(
    settings: Settings, store: LmdbStore, whole: list[tuple[object, ...]], version: str
) -> None:
    """The API ranks in process what the batch wrote, with conditions, a session and reasons."""
    champion = Champion(store, Path(settings.state / "models"))
    assert champion.version == version
    customer = str(whole[0][0])
    with BackgroundServer(store, champion=champion) as server, httpx.Client() as client:
        url = f"{server.url}/v1/recommendations/{customer}"
        found = client.get(url, params={"k": 5}).json()
        assert [one["item_id"] for one in found["items"]] == [row[2] for row in whole[:5]]
        assert not found["fallback"] and all(one["reason"] for one in found["items"])
        new = client.get(url, params={"new_only": True}).json()["items"]
        assert not {one["item_id"] for one in new} & {
            one for row in [store.get("histories", customer)] for one in row.value["items"]
        }
        category = found["items"][0]["category"]
        same = client.get(url, params={"category": category}).json()["items"]
        assert same and {one["category"] for one in same} == {category}
        assert client.get(url, params={"category": "no such"}).json()["items"] == []
        dear = client.get(url, params={"min_price_cents": 10**9}).json()
        assert dear["items"] == []
        bought = same[-1]["item_id"]
        session = client.get(url, params={"bought": bought, "k": 100}).json()
        before = client.get(url, params={"k": 100}).json()
        assert session["items"] != before["items"]
        stranger = client.get(f"{server.url}/v1/recommendations/nobody").json()
        assert stranger["fallback"] and stranger["items"]
        rising = client.get(
            f"{server.url}/v1/trending-for-you", params={"customer_id": customer}
        ).json()
        assert rising["items"]
        ready = client.get(f"{server.url}/readyz").json()
        assert ready["champion"] == {"model": version, "refused": "", "experiment": None}
