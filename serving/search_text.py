"""The words of the catalogue in a tantivy index: matches by BM25, filters, facets, completions.

A query is built from the words of what was typed, never parsed: no character has a meaning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tantivy import (
    DocAddress,
    Document,
    FieldType,
    Filter,
    Index,
    Occur,
    Query,
    SchemaBuilder,
    TextAnalyzer,
    TextAnalyzerBuilder,
    Tokenizer,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_WORD = 40  # characters; a longer one is a code or noise
FIELD_WEIGHTS = {"title": 1.0, "about": 0.5}
STORED = ("item_id", "title", "category", "brand", "price_cents", "currency")
FACET_VALUES = 20
_WRITER_BYTES = 256 << 20


@dataclass(frozen=True)
class Filters:
    """What a hit must be; empty or None lets everything pass."""

    category: str = ""
    brand: str = ""
    min_price_cents: int | None = None
    max_price_cents: int | None = None


@dataclass(frozen=True)
class Matches:
    """Items that match, the best text first; `total` counts also those that were not fetched."""

    rows: Ints
    scores: Floats
    addresses: list[DocAddress]
    total: int


def write_text(folder: Path, items: Iterable[dict[str, Any]], language: str) -> None:
    """Write the index of items into a new folder; an item's row is its place in `items`.

    Args:
        items: item_id, title; and where known category, brand, price_cents, currency.
        language: whose endings are cut off (`english`); empty: none are.
    """
    folder.mkdir(parents=True)
    schema = (
        SchemaBuilder()
        .add_text_field("title", stored=True, tokenizer_name="stems", index_option="freq")
        .add_text_field("about", tokenizer_name="stems", index_option="freq")
        .add_text_field("words", tokenizer_name="words", index_option="basic")
        .add_text_field(
            "category", stored=True, fast=True, tokenizer_name="raw", index_option="basic"
        )
        .add_text_field("brand", stored=True, fast=True, tokenizer_name="raw", index_option="basic")
        .add_text_field("item_id", stored=True, tokenizer_name="raw", index_option="basic")
        .add_text_field("currency", stored=True, tokenizer_name="raw", index_option="basic")
        .add_unsigned_field("price_cents", stored=True, indexed=True, fast=True)
        .add_unsigned_field("row", indexed=True, fast=True)
        .build()
    )
    index = Index(schema, path=str(folder))
    index.register_tokenizer("stems", analyzer(language))
    index.register_tokenizer("words", analyzer(""))
    # One thread writes one segment after the other, so equal scores stand in the order of rows.
    writer = index.writer(heap_size=_WRITER_BYTES, num_threads=1)
    for row, item in enumerate(items):
        about = " ".join(item[name] or "" for name in ("category", "brand"))
        known = {name: value for name, value in item.items() if value is not None}
        words = f"{item['title']} {about}"
        writer.add_document(
            Document.from_dict(known | {"about": about, "words": words, "row": row}, schema)
        )
    writer.commit()
    writer.wait_merging_threads()


def analyzer(language: str) -> TextAnalyzer:
    """Text to words: lower case, without accents, and without endings if a language is given."""
    made = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(MAX_WORD))
    made = made.filter(Filter.lowercase()).filter(Filter.ascii_fold())
    return (made.filter(Filter.stemmer(language)) if language else made).build()


class TextIndex:
    """An index that `write_text` has written, for reading; safe to share between threads."""

    def __init__(self, folder: Path, language: str) -> None:
        self._index = Index.open(str(folder))
        self._index.config_reader("manual")  # a new index is a new folder: nothing to watch for
        self._schema, self._searcher = self._index.schema, self._index.searcher()
        self._words, self._stems = analyzer(""), analyzer(language)

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def words(self, text: str) -> list[str]:
        """The words of a text, whole and in lower case."""
        return list(self._words.analyze(text))

    def terms(self) -> list[tuple[str, int]]:
        """Every word of the catalogue with the number of items that it stands in."""
        return list(self._searcher.terms_with_prefix("words", ""))

    def is_known(self, word: str) -> bool:
        """Whether some item has the word, with any ending."""
        return any(
            self._searcher.doc_freq(field, stem)
            for stem in self._stems.analyze(word)
            for field in FIELD_WEIGHTS
        )

    def completions(self, prefix: str, before: Sequence[str], limit: int) -> list[tuple[str, int]]:
        """Words that begin so, of items that have all the words `before`; the commonest first."""
        among = self.query([(word,) for word in before], len(before)) if before else None
        found = self._searcher.terms_with_prefix("words", prefix, among, limit)
        return [(word, count) for word, count in found if count]

    def query(self, slots: Sequence[Sequence[str]], at_least: int) -> Query:
        """Items that have a word of at least so many slots; those of a slot are alternatives."""
        one_of = [Query.disjunction_max_query(self._alternatives(slot)) for slot in slots]
        if not one_of:
            return Query.const_score_query(Query.all_query(), 1.0)
        if at_least >= len(one_of):
            return Query.boolean_query([(Occur.Must, part) for part in one_of])
        parts = [(Occur.Should, part) for part in one_of]
        return Query.boolean_query(parts, minimum_number_should_match=at_least)

    def matches(
        self, query: Query, filters: Filters, limit: int, among: Ints | None = None
    ) -> Matches:
        """The best `limit` items by text; `among` these rows if given."""
        wanted = self._filtered(query, filters)
        if among is not None:
            chosen = Query.term_set_query(self._schema, "row", among.tolist())
            wanted = _narrowed(wanted, [chosen])
        found = self._searcher.search(wanted, limit, count=True)
        addresses = [address for _, address in found.hits]
        rows = self._searcher.fast_field_values("row", addresses)
        return Matches(
            rows=np.array(rows, dtype=np.int64),
            scores=np.array([score for score, _ in found.hits], dtype=np.float64),
            addresses=addresses,
            total=found.count,
        )

    def facets(
        self, query: Query, filters: Filters, price_steps: Sequence[int]
    ) -> dict[str, list[dict[str, Any]]]:
        """Counts by category, brand and price, each under all filters but its own."""
        without = {
            "category": Filters("", filters.brand, *_prices(filters)),
            "brand": Filters(filters.category, "", *_prices(filters)),
            "price_cents": Filters(filters.category, filters.brand),
        }
        edges = [None, *price_steps, None]
        ranges = [
            {name: edge for name, edge in (("from", low), ("to", high)) if edge is not None}
            for low, high in pairwise(edges)
        ]
        of: dict[str, dict[str, Any]] = {
            name: {"terms": {"field": name, "size": FACET_VALUES}} for name in ("category", "brand")
        }
        of["price_cents"] = {"range": {"field": "price_cents", "ranges": ranges}}
        found = {}
        for name, others in without.items():
            asked = self._searcher.aggregate(self._filtered(query, others), {name: of[name]})
            found[name] = [_bucket(b) for b in asked[name]["buckets"] if b["doc_count"]]
        return found

    def item(self, address: DocAddress) -> dict[str, Any]:
        """What is kept of an item to show."""
        document = self._searcher.doc(address)
        return {name: document.get_first(name) for name in STORED}

    def _alternatives(self, words: Sequence[str]) -> list[Query]:
        stems = dict.fromkeys(stem for word in words for stem in self._stems.analyze(word))
        return [
            Query.boost_query(Query.term_query(self._schema, field, stem, "freq"), weight)
            for stem in stems
            for field, weight in FIELD_WEIGHTS.items()
        ]

    def _filtered(self, query: Query, filters: Filters) -> Query:
        kept = [
            Query.term_query(self._schema, name, value, "basic")
            for name, value in (("category", filters.category), ("brand", filters.brand))
            if value
        ]
        low, high = _prices(filters)
        if low is not None or high is not None:
            price = Query.range_query(
                self._schema, "price_cents", FieldType.Unsigned, low or 0, high
            )
            kept.append(price)
        return _narrowed(query, kept)


def _narrowed(query: Query, by: Sequence[Query]) -> Query:
    """Only what matches all of `by` too; the scores stay those of the text."""
    if not by:
        return query
    silent = [(Occur.Must, Query.const_score_query(one, 0.0)) for one in by]
    return Query.boolean_query([(Occur.Must, query), *silent])


def _prices(filters: Filters) -> tuple[int | None, int | None]:
    return filters.min_price_cents, filters.max_price_cents


def _bucket(bucket: dict[str, Any]) -> dict[str, Any]:
    """A value with its count, or a range of prices [from, to) with its count."""
    if "from" in bucket or "to" in bucket:
        edges: dict[str, Any] = {n: int(bucket[n]) for n in ("from", "to") if n in bucket}
        return edges | {"items": bucket["doc_count"]}
    return {"value": bucket["key"], "items": bucket["doc_count"]}
