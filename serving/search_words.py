"""From what a shopper typed to words that the catalogue has: completed, corrected, taken apart."""

from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

# A slip of the keyboard is one insertion, deletion, exchange or swap of two neighbours. As many
# are forgiven as Elasticsearch's fuzziness AUTO does: none below 3 letters, 2 from 6 on.
ONE_SLIP, TWO_SLIPS = 3, 6
MAX_CORRECTIONS = 3


@dataclass(frozen=True)
class Vocabulary:
    """The words of the catalogue, each with the number of items that it stands in."""

    item_count: dict[str, int]

    @classmethod
    def of(cls, terms: Iterable[tuple[str, int]]) -> "Vocabulary":
        """From (word, number of items)."""
        return cls(dict(terms))

    def corrections(self, word: str) -> tuple[str, ...]:
        """The nearest words by slips, at most 3: the same first letter, then the commonest, first.

        Numbers are not corrected: 12 is no slip for 16.
        """
        allowed = (len(word) >= ONE_SLIP) + (len(word) >= TWO_SLIPS)
        if not allowed or not word.isalpha():
            return ()
        near = process.extract(
            word, self.item_count.keys(), scorer=OSA.distance, score_cutoff=allowed, limit=None
        )
        least = min((distance for _, distance, _ in near), default=0)
        nearest = [other for other, distance, _ in near if distance == least]
        nearest.sort(key=lambda other: (other[0] != word[0], -self.item_count[other], other))
        return tuple(nearest[:MAX_CORRECTIONS])

    def halves(self, word: str) -> tuple[str, str] | None:
        """Two words of the catalogue that were typed as one (`icecream`), the commonest pair."""
        splits = [(word[:at], word[at:]) for at in range(2, len(word) - 1)]
        known = [s for s in splits if s[0] in self.item_count and s[1] in self.item_count]
        rarer = {s: min(self.item_count[s[0]], self.item_count[s[1]]) for s in known}
        return max(known, key=lambda s: rarer[s], default=None)
