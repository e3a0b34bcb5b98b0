"""Which challenger an experiment serves, until when, and what its figures say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from given_model import AT, some_model

from ml import experiments, tracking
from ml.shelf import served_models
from pipelines.errors import ModelError
from pipelines.settings import Settings
from serving.experiment import CHALLENGER
from serving.lmdb_store import LmdbStore
from serving.recommender.champion import CURRENT, MODELS, Champion


def named(settings: Settings, name: str) -> Settings:
    experiment = settings.experiment.model_copy(update={"name": name, "challenger_permille": 300})
    return settings.model_copy(update={"experiment": experiment})


def register(settings: Settings, number: int, folder: Path) -> tracking.Version:
    """A version whose model is made from its number, without Spark; it is the challenger."""
    mlflow = tracking._mlflow(settings)
    client = mlflow.MlflowClient()
    if number == 1:
        client.create_registered_model(tracking.MODEL_NAME)
    with mlflow.start_run() as run:
        digest = some_model(number).save(folder / str(number))
        mlflow.set_tag(f"digest of {tracking.SERVED}", digest)
        mlflow.log_artifacts(str(folder / str(number)), artifact_path=tracking.SERVED)
    client.create_model_version(tracking.MODEL_NAME, run.info.artifact_uri, run.info.run_id)
    found = tracking.by_number(settings, str(number))
    tracking.point_alias(settings, tracking.CHALLENGER, found)
    return found


@pytest.fixture
def lake(lake: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake whose registry is a folder: MLflow takes ten times as long to make a database."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    model = lake.model.model_copy(update={"tracking_uri": (tmp_path / "registry").as_uri()})
    return lake.model_copy(update={"model": model})


@pytest.fixture
def store(lake: Settings) -> Iterator[LmdbStore]:
    opened = LmdbStore(lake.state / "online")
    yield opened
    opened.close()


def publish(settings: Settings, store: LmdbStore, champion: tracking.Version) -> dict[str, str]:
    """Publish as `lakehouse publish` does; returns versions by what they are served as."""
    model = tracking.model_of(settings, champion, tracking.SERVED)
    entries = list(served_models(model, settings, champion))
    store.publish("model", entries, version=champion.version, published_at=AT)
    found = store.get_many("model", (CURRENT, CHALLENGER))
    return {name: answer.value["model_version"] for name, answer in found.items()}


def test_an_experiment_keeps_its_challenger_until_it_is_stopped_for_good(
    lake: Settings, store: LmdbStore, tmp_path: Path
) -> None:
    spring = named(lake, "spring")
    with pytest.raises(ModelError, match="run `lakehouse train` first"):
        experiments.stop(spring, store)
    first = register(lake, 1, tmp_path)
    assert publish(spring, store, first) == {CURRENT: "1"}, "the challenger is the champion"
    register(lake, 2, tmp_path)
    assert publish(lake, store, first) == {CURRENT: "1"}, "no experiment is named"
    assert publish(spring, store, first) == {CURRENT: "1", CHALLENGER: "2"}
    api = Champion(store, lake.state / MODELS)
    assert api.experiment == "spring" and not api.refused
    third = register(lake, 3, tmp_path)
    assert publish(spring, store, first) == {CURRENT: "1", CHALLENGER: "2"}
    assert experiments.results("spring", [], store).served == {"champion": "1", "challenger": "2"}
    assert publish(spring, store, tracking.by_number(lake, "2")) == {CURRENT: "2"}
    assert publish(spring, store, third) == {CURRENT: "3", CHALLENGER: "2"}
    assert experiments.stop(spring, store) == "spring"
    assert api.refresh() and (api.experiment, api.version) == (None, "3")
    assert experiments.results("spring", [], store).served == {}
    assert publish(spring, store, third) == {CURRENT: "3"}
    assert publish(named(lake, "summer"), store, first) == {CURRENT: "1", CHALLENGER: "3"}


def test_without_a_name_there_is_nothing_to_stop(lake: Settings, store: LmdbStore) -> None:
    with pytest.raises(ModelError, match=r"experiment\.name is empty"):
        experiments.stop(lake, store)


def row(arm: str, clicks: tuple[float, float, float], **more: object) -> dict[str, object]:
    shares = {"click_share": clicks, "buyer_share": (0.1, 0.05, 0.2),
              "purchases_per_customer": (2.0, 1.9, 2.1)}  # fmt: skip
    figures = {name + end: value for name, values in shares.items()
               for end, value in zip(("", "_low", "_high"), values, strict=True)}  # fmt: skip
    return {"arm": arm, "is_ratio_off": False, "p_value": 0.5, **figures, **more}


def test_a_difference_is_that_of_newcombes_example(store: LmdbStore) -> None:
    # Newcombe (1998), table II (a): 56/70 and 48/80, by method 10 from 0.0524 to 0.3339.
    champion = row("champion", (0.6, 0.4904, 0.7004))
    challenger = row("challenger", (0.8, 0.6918, 0.8770))
    found = experiments.results("spring", [challenger, champion], store)
    clicks, bought, lines = found.differences
    assert (clicks.mean, clicks.low, clicks.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-4)
    assert clicks.is_sure and not bought.is_sure and not lines.is_sure
    assert lines.high == pytest.approx(0.1 * 2**0.5)


def test_where_the_ratio_is_off_or_an_arm_is_missing_nothing_is_compared(store: LmdbStore) -> None:
    one = row("champion", (0.6, 0.5, 0.7))
    assert experiments.results("spring", [one], store).differences == []
    both = [one | {"is_ratio_off": True}, row("challenger", (0.8, 0.7, 0.9), is_ratio_off=True)]
    found = experiments.results("spring", both, store)
    assert found.is_ratio_off and found.differences == []
