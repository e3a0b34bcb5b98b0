"""The models' arrays in this process: loaded anew as soon as the store names others."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import LakehouseError
from serving.experiment import CHALLENGER, Experiment
from serving.online import OnlineStore
from serving.recommender.history import History
from serving.recommender.model import Model, load_model

LOOK_EVERY_S = 1.0
CURRENT = "current"  # beside CHALLENGER, what the kind `model` of the store names
MODELS = "models"  # the folder beside the online store

logger = logging.getLogger(__name__)
Loaded = tuple[Model, dict[str, Any]]  # with the entry that named it


@dataclass(frozen=True)
class Choice:
    """The model for one request; `experiment` and `arm` are None where there is no experiment."""

    model: Model
    version: str
    experiment: Experiment | None = None
    arm: str | None = None


class Champion:
    """Which model answers; a request keeps the one with which it began.

    Args:
        store: its kind `model` names the folders of the current one and of a challenger.
        folder: where the folders of models are; None: no model is ever loaded.
    """

    def __init__(self, store: OnlineStore, folder: Path | None) -> None:
        self._store, self._folder = store, folder
        self._loaded: dict[str, Loaded] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.refused = ""
        self.refresh()

    @property
    def current(self) -> tuple[Model, str] | None:
        """The model and its version; None before the first."""
        loaded = self._loaded.get(CURRENT)
        return (loaded[0], loaded[1]["model_version"]) if loaded else None

    @property
    def version(self) -> str | None:
        loaded = self.current
        return loaded[1] if loaded else None

    @property
    def experiment(self) -> str | None:
        """The name of the one that runs."""
        loaded = self._loaded.get(CHALLENGER)
        return loaded[1]["experiment"] if loaded else None

    def choice(self, customer_id: str) -> Choice | None:
        """The model for a customer; None before the first is loaded."""
        loaded = self._loaded  # one look: a refresh puts another dictionary in its place
        if CURRENT not in loaded:
            return None
        model, entry = loaded[CURRENT]
        if CHALLENGER not in loaded:
            return Choice(model, entry["model_version"])
        challenger, its_entry = loaded[CHALLENGER]
        experiment = Experiment(its_entry["experiment"], its_entry["permille"])
        arm = experiment.arm(customer_id)
        if arm == CHALLENGER:
            model, entry = challenger, its_entry
        return Choice(model, entry["model_version"], experiment, arm)

    def refresh(self) -> bool:
        """Load the models that the store names, if they are others; returns whether they were.

        A model that cannot be read, or whose digest differs, is refused: the last good one goes
        on answering, and `refused` says why. A challenger that is refused keeps no champion back;
        there is no experiment then, since customers of one arm alone would be counted.
        """
        if self._folder is None:
            return False
        try:
            named = self._store.get_many("model", (CURRENT, CHALLENGER))
            if CURRENT not in named:
                return False
            loaded = {CURRENT: self._load(self._folder, named[CURRENT].value)}
        except LakehouseError as error:
            self._refuse(str(error))
            return False
        refused = ""
        if CHALLENGER in named:
            try:
                loaded[CHALLENGER] = self._load(self._folder, named[CHALLENGER].value)
            except LakehouseError as error:
                refused = f"challenger: {error}"
        is_new = _entries(loaded) != _entries(self._loaded)
        self._loaded = loaded
        self._refuse(refused)
        return is_new

    def _refuse(self, why: str) -> None:
        if why and why != self.refused:
            logger.error("model refused: %s", why)
        self.refused = why

    def _load(self, folder: Path, entry: dict[str, Any]) -> Loaded:
        """The model of an entry, the one that is loaded already if it is the same."""
        for model, known in self._loaded.values():
            if known["digest"] == entry["digest"]:
                return model, entry
        model = load_model(folder / entry["folder"], entry["digest"])
        _ = model.code_of, model.gram, model.regional, model.region_of, model.category_of
        return model, entry

    def watch(self) -> None:
        """Look for another model every second, in a thread, until closed."""

        def look() -> None:
            while not self._stop.wait(LOOK_EVERY_S):
                self.refresh()

        self._thread = threading.Thread(target=look, name="champion", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching; after it the store may be closed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


def _entries(loaded: Mapping[str, Loaded]) -> dict[str, dict[str, Any]]:
    return {name: entry for name, (_, entry) in loaded.items()}


def history_of(model: Model, entry: dict[str, Any]) -> History:
    """A published history by the numbers of a model; items that it does not know are left out."""
    code_of = model.code_of
    codes = np.array([code_of.get(item, -1) for item in entry["items"]], np.int32)
    order = np.argsort(codes)[np.count_nonzero(codes < 0) :]

    def column(name: str) -> Any:
        return np.array(entry[name], np.float32)[order]

    return History(
        items=codes[order],
        baskets=column("baskets"),
        first_age=column("first_age"),
        last_age=column("last_age"),
        recent=column("recent"),
        lasting=column("lasting"),
        visits=entry["visits"],
        recent_visits=entry["recent_visits"],
        last_visit_age=entry["last_visit_age"],
        region=model.region_of.get(entry["region"], -1),
    )
