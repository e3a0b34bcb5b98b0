"""Search over one published index: words, filters and a customer's taste to hits in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tantivy import Query

from serving.search_files import load_array, verified
from serving.search_ranking import (
    NOBODY,
    Catalogue,
    Floats,
    Taste,
    features,
    order,
    reason,
)
from serving.search_text import Filters, Matches, TextIndex
from serving.search_words import Vocabulary

CANDIDATES = 1000  # fetched by text; of these and the customer's own items taste makes the order
# More of them cost 3 ms for a broad query, and what was bought long ago moves little.
OWN_CANDIDATES = 256
MAX_WORDS = 16
MAX_COMPLETIONS = 8


@dataclass(frozen=True)
class Reading:
    """How a text is understood.

    Attributes:
        slots: per word the alternatives of which one must match.
        corrected: the text as it was searched, if that is not what was typed.
    """

    slots: tuple[tuple[str, ...], ...]
    corrected: str | None


@dataclass(frozen=True)
class Found:
    """An answer. `matched` is `all` (words), `some` of them, or `none`: what is popular instead."""

    hits: list[dict[str, Any]]
    total: int
    facets: dict[str, list[dict[str, Any]]]
    matched: str
    corrected: str | None
    suggestions: list[str]
    is_personal: bool


@dataclass(frozen=True)
class Ranked:
    """Candidates with their features, and the query that gave them."""

    matches: Matches
    features: Floats
    query: Query
    matched: str


class SearchIndex:
    """A published index, read-only; safe to share between threads.

    Args:
        folder: that `ml.search_index.write_index` wrote.
        digest: of its manifest.

    Raises:
        StoreError: the folder differs from its digest.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        facts = verified(folder, digest)
        self.digest = digest
        self.weights = np.array(facts["weights"])
        self._price_steps: list[int] = facts["price_steps"]
        self.text = TextIndex(folder / "text", facts["language"])
        self._vocabulary = Vocabulary.of(self.text.terms())
        self.catalogue = Catalogue(
            **{name: load_array(folder, name) for name in Catalogue.__dataclass_fields__}
        )
        self._customers = load_array(folder, "customers")
        self._starts = load_array(folder, "taste_starts")
        self._taste = Taste(
            **{name: load_array(folder, f"taste_{name}") for name in Taste.__dataclass_fields__}
        )

    @property
    def version(self) -> str:
        """Names what is published; changes whenever a byte does."""
        return self.digest[:16]

    def taste(self, customer_id: str) -> Taste | None:
        """What a customer bought; None of one without purchases."""
        key = np.array([customer_id.encode()])
        # Of another width the key would have all ids copied to compare them.
        if not len(self._customers) or key.itemsize > self._customers.itemsize:
            return None
        key = key.astype(self._customers.dtype)
        place = int(np.searchsorted(self._customers, key)[0])
        if place == len(self._customers) or self._customers[place] != key[0]:
            return None
        part = slice(self._starts[place], self._starts[place + 1])
        return Taste(*(getattr(self._taste, name)[part] for name in Taste.__dataclass_fields__))

    def read(self, text: str) -> Reading:
        """Understand a text: words that no item has are completed, corrected or taken apart."""
        words = self.text.words(text)[:MAX_WORDS]
        slots: list[tuple[str, ...]] = []
        for place, word in enumerate(words):
            is_last = place == len(words) - 1
            slots += self._meant(word, slots, is_last)
        said = [slot[0] for slot in slots]
        return Reading(tuple(slots), " ".join(said) if said != words else None)

    def suggest(self, text: str, limit: int) -> list[str]:
        """What the text may become: its last word completed or corrected, the commonest first."""
        words = self.text.words(text)[:MAX_WORDS]
        if not words:
            return []
        before = [slot[0] for slot in self.read(" ".join(words[:-1])).slots]
        ends = [word for word, _ in self.text.completions(words[-1], before, limit)]
        ends = ends or list(self._vocabulary.corrections(words[-1]))
        whole = [" ".join([*before, end]) for end in ends[:limit]]
        return [one for one in whole if one != " ".join(words)]

    def ranked(self, slots: Sequence[Sequence[str]], taste: Taste, filters: Filters) -> Ranked:
        """Candidates of a query: of all its words, else of most, else of any, else whatever.

        The filters hold in each case.
        """
        fewer = {len(slots), len(slots) - 1, 1} & set(range(1, len(slots) + 1))
        for at_least in sorted(fewer, reverse=True):
            query = self.text.query(slots, at_least)
            matches = self._matches(query, taste, filters)
            if matches.total:
                matched = "all" if at_least == len(slots) else "some"
                return self._with_features(matches, taste, query, matched)
        query = self.text.query((), 0)
        matched = "none" if slots else "all"
        return self._with_features(self._matches(query, taste, filters), taste, query, matched)

    def search(self, text: str, customer_id: str, filters: Filters, limit: int) -> Found:
        """The best `limit` items for a text, or for none; see `Found`."""
        reading = self.read(text)
        known = self.taste(customer_id) if customer_id else None
        ranked = self.ranked(reading.slots, known or NOBODY, filters)
        scores = ranked.features @ self.weights
        best = order(scores, ranked.matches.rows)[:limit]
        hits = [
            self.text.item(ranked.matches.addresses[place])
            | {
                "score": round(float(scores[place]), 4),
                "reason": reason(ranked.features[place], self.weights) or _because(ranked.matched),
            }
            for place in best
        ]
        return Found(
            hits=hits,
            total=ranked.matches.total,
            facets=self.text.facets(ranked.query, filters, self._price_steps),
            matched=ranked.matched,
            corrected=reading.corrected,
            suggestions=[] if ranked.matched == "all" else self.suggest(text, MAX_COMPLETIONS),
            is_personal=known is not None,
        )

    def _meant(
        self, word: str, before: Sequence[Sequence[str]], is_last: bool
    ) -> list[tuple[str, ...]]:
        """Slots for a word; the last one may still be growing: so may be any that begins so."""
        if word in self._vocabulary.item_count:
            return [(word,)]
        itself = (word,) if self.text.is_known(word) else ()
        said = [slot[0] for slot in before]
        longer = self.text.completions(word, said, MAX_COMPLETIONS) if is_last else []
        if itself or longer:
            return [(*itself, *(other for other, _ in longer))]
        corrected = self._vocabulary.corrections(word)
        if corrected:
            return [corrected]
        return [(half,) for half in self._vocabulary.halves(word) or (word,)]

    def _matches(self, query: Query, taste: Taste, filters: Filters) -> Matches:
        """The best by text; and where there are more, those that the customer has bought too."""
        best = self.text.matches(query, filters, CANDIDATES)
        if best.total <= CANDIDATES or not len(taste.rows):
            return best
        lately = taste.rows[np.argsort(-taste.recent)[:OWN_CANDIDATES]]
        own = self.text.matches(query, filters, OWN_CANDIDATES, among=lately)
        further = np.flatnonzero(~np.isin(own.rows, best.rows))
        return replace(
            best,
            rows=np.concatenate([best.rows, own.rows[further]]),
            scores=np.concatenate([best.scores, own.scores[further]]),
            addresses=best.addresses + [own.addresses[place] for place in further],
        )

    def _with_features(self, matches: Matches, taste: Taste, query: Query, matched: str) -> Ranked:
        found = features(self.catalogue, taste, matches.rows, matches.scores)
        return Ranked(matches, found, query, matched)


def _because(matched: str) -> str:
    told = {"all": "has all the words", "some": "has some of the words", "none": "popular"}
    return told[matched]
