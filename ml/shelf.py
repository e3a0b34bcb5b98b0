"""Where the models and indexes stand that the API answers from: folders that never change."""

import contextlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from ml import tracking
from ml.experiments import challenger_of
from pipelines.errors import ModelError
from pipelines.settings import Settings
from serving.experiment import CHALLENGER
from serving.online import JSONValue
from serving.recommender.champion import CURRENT, MODELS
from serving.recommender.model import Model, load_model

KEPT = 2  # models beside those that are served: of the last pair, which an API may still read


def served_models(
    model: Model, settings: Settings, champion: tracking.Version
) -> Iterator[tuple[str, JSONValue]]:
    """The arrays into folders of their own, and which these are: what the kind `model` holds.

    Beside the champion, the challenger of the experiment that runs.
    """
    served = {CURRENT: _shelved(model, settings, champion)}
    yield CURRENT, served[CURRENT]
    challenger = challenger_of(settings, champion)
    if challenger is not None:
        other = tracking.model_of(settings, challenger, tracking.SERVED)
        experiment = settings.experiment
        served[CHALLENGER] = _shelved(other, settings, challenger) | {
            "experiment": experiment.name,
            "permille": experiment.challenger_permille,
        }
        yield CHALLENGER, served[CHALLENGER]
    tidy(settings.state / MODELS, {str(entry["folder"]) for entry in served.values()}, KEPT)


def _shelved(model: Model, settings: Settings, version: tracking.Version) -> dict[str, str | int]:
    digest = version.tags[f"digest of {tracking.SERVED}"]
    name = f"{version.version}-{digest[:12]}"
    store_once(settings.state / MODELS, name, model, digest)
    return {"folder": name, "digest": digest, "model_version": version.version}


def store_once(models: Path, name: str, model: Model, digest: str) -> None:
    """Let a folder hold the model, whole or not at all.

    One that does already is left alone: the API has its files mapped into memory, and a process
    dies that reads from a mapped file while it is written anew. A damaged one is replaced.

    Args:
        digest: of the model, see `Model.save`.
    """
    folder = models / name
    with contextlib.suppress(ModelError):
        load_model(folder, digest)
        return
    part = models / f"_{name}.part"
    for leftover in (part, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save(part)
    part.rename(folder)


def tidy(shelf: Path, served: Collection[str], kept: int) -> None:
    """Delete all folders but those that are served and so many of the newest others."""
    others = [folder for folder in shelf.iterdir() if folder.name not in served]
    newest_last = sorted(others, key=lambda folder: folder.stat().st_mtime)
    for old in newest_last[: max(0, len(newest_last) - kept)]:
        shutil.rmtree(old, ignore_errors=True)
