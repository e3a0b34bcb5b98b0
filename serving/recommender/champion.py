"""The champion's arrays in this process: loaded anew as soon as the store names another."""

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import LakehouseError
from serving.online import OnlineStore
from serving.recommender.history import History
from serving.recommender.model import Model, load_model

LOOK_EVERY_S = 1.0
MODELS = "models"  # the folder beside the online store

logger = logging.getLogger(__name__)


class Champion:
    """Which model answers; a request keeps the one with which it began.

    Args:
        store: its kind `model` names the folder of the current one.
        folder: where the folders of models are; None: no model is ever loaded.
    """

    def __init__(self, store: OnlineStore, folder: Path | None) -> None:
        self._store, self._folder = store, folder
        self._loaded: tuple[Model, dict[str, str]] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.refused = ""
        self.refresh()

    @property
    def current(self) -> tuple[Model, str] | None:
        """The model and its version; None before the first."""
        loaded = self._loaded
        return (loaded[0], loaded[1]["model_version"]) if loaded else None

    @property
    def version(self) -> str | None:
        loaded = self.current
        return loaded[1] if loaded else None

    def refresh(self) -> bool:
        """Load the model that the store names, if it is another; returns whether it was.

        A model that cannot be read, or whose digest differs, is refused: the last good one goes
        on answering, and `refused` says why.
        """
        if self._folder is None:
            return False
        try:
            named = self._store.get("model", "current")
            if named is None or (self._loaded and self._loaded[1] == named.value):
                return False
            model = load_model(self._folder / named.value["folder"], named.value["digest"])
        except LakehouseError as error:
            if self.refused != str(error):
                logger.error("model refused: %s", error)
            self.refused = str(error)
            return False
        _ = model.code_of, model.gram, model.regional, model.region_of, model.category_of
        self._loaded = (model, named.value)
        self.refused = ""
        return True

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
