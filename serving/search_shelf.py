"""The index that the API answers from: always the last good one, a new one as it is published."""

import logging
import threading
from pathlib import Path

from pipelines.errors import StoreError
from serving.online import OnlineStore
from serving.search import SearchIndex

KIND, ENTRY = "search", "index"
FOLDER = "search"  # beside the online store

logger = logging.getLogger(__name__)


class SearchShelf:
    """Holds one index open; looks at the store at every request, and loads beside the requests.

    Args:
        store: says which index is published, and its digest.
        folder: where the indexes stand.
    """

    def __init__(self, store: OnlineStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._index: SearchIndex | None = None
        self._tried = ""  # digest of the index that was loaded last, or could not be
        self._loading = threading.Lock()

    def index(self) -> SearchIndex | None:
        """The index to answer from; None if none was ever published, or none could be loaded.

        The first is waited for. A later one is loaded in a thread while the old one answers; one
        that differs from its digest is reported once and the old one stays.
        """
        published = self._store.get(KIND, ENTRY)
        if published is None or published.value["digest"] == self._tried:
            return self._index
        if self._index is None:
            self._load(published.value)
        elif self._loading.acquire(blocking=False):
            self._tried = published.value["digest"]
            threading.Thread(
                target=self._load_and_release, args=(published.value,), name="search index"
            ).start()
        return self._index

    def _load_and_release(self, entry: dict[str, str]) -> None:
        try:
            self._load(entry)
        finally:
            self._loading.release()

    def _load(self, entry: dict[str, str]) -> None:
        self._tried = entry["digest"]
        try:
            self._index = SearchIndex(self._folder / Path(entry["folder"]).name, entry["digest"])
        except (StoreError, ValueError, OSError) as error:
            kept = "the last good index answers on" if self._index else "there is none to answer"
            logger.error("the search index that was published cannot be used: %s; %s", error, kept)
