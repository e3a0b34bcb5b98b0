"""A customer's taste leaves the search index; words and other tastes are as they were."""

from contextlib import closing
from pathlib import Path

from given_search import WEIGHTS, material

from ml.search import publish_index
from ml.search_forget import forget_tastes
from ml.search_learn import Learned
from pipelines.settings import load_settings
from serving.lmdb_store import LmdbStore
from serving.search import SearchIndex
from serving.search_shelf import ENTRY, FOLDER, KIND
from serving.search_text import Filters


def test_only_that_taste_goes_and_no_folder_keeps_it(tmp_path: Path) -> None:
    settings = load_settings(overrides={"root": str(tmp_path / "lake")})
    shelf = settings.state / FOLDER

    with closing(LmdbStore(settings.state / "online")) as store:

        def index() -> SearchIndex:
            published = store.get(KIND, ENTRY)
            assert published is not None
            return SearchIndex(shelf / published.value["folder"], published.value["digest"])

        assert forget_tastes(settings, store, ("own",)) == 0  # nothing is published
        for _ in range(2):
            publish_index(settings, store, material(), Learned(WEIGHTS, WEIGHTS, None))
        before = index()
        hits = before.search("milk", "choc", Filters(), 5).hits
        assert before.taste("own") is not None
        assert forget_tastes(settings, store, ("own", "unknown")) == 1
        after = index()
        assert after.taste("own") is None
        assert after.search("milk", "choc", Filters(), 5).hits == hits
        assert len(list(shelf.iterdir())) == 1
        assert not any(b"own\0" in file.read_bytes() for file in shelf.rglob("customers.npy"))
        assert forget_tastes(settings, store, ("own",)) == 0
