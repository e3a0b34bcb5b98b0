"""Search over a published index: words, slips, filters, facets, taste, and what was damaged."""

from pathlib import Path

import numpy as np
import pytest
from given_search import ITEMS, WEIGHTS, material, small_index
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.search_index import write_index
from pipelines.errors import StoreError
from serving import search
from serving.search import Found, SearchIndex
from serving.search_text import Filters

ALL = Filters()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    return small_index(tmp_path_factory.mktemp("search") / "index")


def ids(found: Found) -> list[str]:
    return [hit["item_id"] for hit in found.hits]


def ask(index: SearchIndex, text: str, customer_id: str = "", filters: Filters = ALL) -> Found:
    return index.search(text, customer_id, filters, 10)


def test_all_words_must_match_with_any_ending_accent_or_case(index: SearchIndex) -> None:
    assert set(ids(ask(index, "CHOCOLATES milk"))) == {"m2", "m3", "c1"}
    assert ids(ask(index, "creme brulee")) == ["b1"]
    found = ask(index, "chocolate milk")
    assert (found.matched, found.corrected, found.total) == ("all", None, 3)
    assert ids(ask(index, "dark chocolate candy")) == ["c2"]


@pytest.mark.parametrize(
    ("typed", "read", "best"),
    [
        ("choclate bar", "chocolate bar", {"c1", "c2"}),
        ("chocoalte bar", "chocolate bar", {"c1", "c2"}),
        ("vannila", "vanilla", {"i1"}),
        ("icecream", "ice cream", {"i1"}),
        ("dark choc", "dark chocolate", {"c2"}),
        ("aple sauce", "apple sauce", {"a1"}),
    ],
)
def test_slips_are_corrected_joined_words_parted_the_last_completed(
    index: SearchIndex, typed: str, read: str, best: set[str]
) -> None:
    found = ask(index, typed)
    assert (found.corrected, found.matched, set(ids(found))) == (read, "all", best)


def test_short_words_and_numbers_are_not_corrected(index: SearchIndex) -> None:
    assert ask(index, "57 oz").matched == "some"
    assert ask(index, "xq").matched == "none"


def test_without_all_words_some_are_enough_and_without_any_what_is_popular(
    index: SearchIndex,
) -> None:
    found = ask(index, "dark chocolate brulee")
    assert (found.matched, ids(found)) == ("some", ["c2"])
    lost = ask(index, "zzzzzz")
    assert (lost.matched, lost.total, ids(lost)[0]) == ("none", len(ITEMS), "m1")
    assert lost.hits[0]["reason"] == "popular"


def test_no_words_are_everything_the_popular_first(index: SearchIndex) -> None:
    for text in ("", " ", "!!! ,,, ()", "\x00"):
        found = ask(index, text)
        assert (found.matched, ids(found)[0], found.total) == ("all", "m1", len(ITEMS))


def test_a_customer_finds_first_what_they_buy_and_is_told_why(index: SearchIndex) -> None:
    nobody, own = ask(index, "chocolate bar"), ask(index, "chocolate bar", "choc")
    assert (ids(nobody), ids(own)) == (["c1", "c2"], ["c2", "c1"])
    assert (nobody.is_personal, own.is_personal) == (False, True)
    assert own.hits[0]["reason"] == "you bought it before"
    assert {hit["reason"] for hit in nobody.hits} == {"has all the words"}


def test_an_unknown_customer_gets_what_everyone_gets(index: SearchIndex) -> None:
    for stranger in ("aaa", "zzz", "cho", "chocs"):
        assert ask(index, "milk", stranger) == ask(index, "milk")


def test_own_items_are_found_beyond_the_candidates(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CANDIDATES", 2)
    assert "c2" not in ids(ask(index, ""))
    assert ids(ask(index, "", "choc"))[0] == "c2"


def test_filters_hold_for_every_hit_also_where_nothing_matches(index: SearchIndex) -> None:
    assert ids(ask(index, "chocolate", filters=Filters(category="CANDY"))) == ["c1", "c2"]
    assert ids(ask(index, "chocolate", filters=Filters(brand="Own", category="MILK"))) == ["m3"]
    priced = ask(index, "", filters=Filters(min_price_cents=150, max_price_cents=300))
    assert set(ids(priced)) == {"m1", "m2", "a1"}
    assert ids(ask(index, "zzzzzz", filters=Filters(category="FROZEN"))) == ["i1"]
    none = ask(index, "milk", filters=Filters(category="milk"))
    assert (none.hits, none.total, none.matched) == ([], 0, "none")


def test_a_facet_counts_under_all_filters_but_its_own(index: SearchIndex) -> None:
    facets = ask(index, "chocolate", filters=Filters(category="MILK")).facets
    assert {f["value"]: f["items"] for f in facets["category"]} == {"MILK": 2, "CANDY": 2}
    assert {f["value"]: f["items"] for f in facets["brand"]} == {"Farm": 1, "Own": 1}
    assert sum(f["items"] for f in facets["price_cents"]) == 2
    everything = ask(index, "").facets["price_cents"]
    assert sum(f["items"] for f in everything) == len([i for i in ITEMS if i[4]])
    assert [f.get("from") for f in everything[1:]] == [f["to"] for f in everything[:-1]]


def test_suggestions_complete_or_correct_the_last_word(index: SearchIndex) -> None:
    assert index.suggest("dark ch", 5) == ["dark chocolate"]
    assert index.suggest("m", 5) == ["milk"]
    assert index.suggest("dark bra", 5) == ["dark bar"]
    assert index.suggest("", 5) == []
    assert index.suggest("qqqqqqqq", 5) == []


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=300), who=st.sampled_from(["", "choc", "own", "x"]))
def test_any_text_has_an_answer(index: SearchIndex, text: str, who: str) -> None:
    found = ask(index, text, who)
    assert found.hits and found.matched in ("all", "some", "none")
    scores = [hit["score"] for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_a_catalogue_without_purchases_prices_or_customers_is_searched(tmp_path: Path) -> None:
    made = material([(i, t, None, None, None, 0) for i, t, *_ in ITEMS])
    made = type(made)(made.items, made.tastes.slice(0, 0))
    digest = write_index(tmp_path / "index", made, WEIGHTS, "")
    found = SearchIndex(tmp_path / "index", digest).search("milk", "choc", ALL, 10)
    assert (set(ids(found)), found.is_personal) == ({"m1", "m2", "m3", "c1"}, False)
    assert found.facets == {"category": [], "brand": [], "price_cents": []}


@pytest.mark.parametrize("what", ["manifest.json", "popularity.npy", "text", "taste_rows.npy"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_byte_that_differs_is_noticed_before_anything_is_read(
    tmp_path: Path, what: str, damage: str
) -> None:
    folder = tmp_path / "index"
    digest = small_index(folder).digest
    file = folder / what
    if file.is_dir():
        file = max(file.glob("*.term"))
    if damage == "gone":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    with pytest.raises(StoreError, match=r"differs from its digest|cannot be read: .* `lakehouse"):
        SearchIndex(folder, digest)


def test_an_index_of_another_format_says_so(tmp_path: Path) -> None:
    import hashlib

    folder = tmp_path / "index"
    small_index(folder)
    text = (folder / "manifest.json").read_text().replace('"format": 1', '"format": 99')
    (folder / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match="format 99, this release has 1; run `lakehouse index`"):
        SearchIndex(folder, hashlib.sha256(text.encode()).hexdigest())


def test_arrays_hold_no_pickle(tmp_path: Path) -> None:
    small_index(tmp_path / "index")
    for file in (tmp_path / "index").glob("*.npy"):
        np.load(file, allow_pickle=False)
