"""Corrections and parted words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.search_words import Vocabulary

WORDS = Vocabulary.of(
    [("milk", 50), ("silk", 9), ("mild", 2), ("chocolate", 20), ("ice", 5), ("cream", 7), ("12", 3)]
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("milc", ("milk", "mild")),
        ("mlik", ("milk",)),
        ("nilk", ("milk", "silk")),
        ("mil", ("milk", "mild")),
        ("chcolat", ("chocolate",)),
        ("mx", ()),
        ("13", ()),
        ("zzzzzzzz", ()),
        ("", ()),
    ],
)
def test_the_nearest_words_the_commonest_first(typed: str, meant: tuple[str, ...]) -> None:
    assert WORDS.corrections(typed) == meant


def test_two_words_typed_as_one() -> None:
    assert WORDS.halves("icecream") == ("ice", "cream")
    assert WORDS.halves("creamice") == ("cream", "ice")
    assert WORDS.halves("icemilch") is None


LETTERS = st.characters(codec="ascii", categories=["Ll"])


@given(st.sampled_from(["chocolate", "cream", "milk"]), st.integers(0, 3), LETTERS)
def test_one_exchanged_letter_finds_the_word(word: str, place: int, letter: str) -> None:
    typed = word[:place] + letter + word[place + 1 :]
    assert (typed if typed in WORDS.item_count else word) in WORDS.corrections(typed)
