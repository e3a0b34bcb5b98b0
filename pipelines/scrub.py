r"""A person taken out of a text: pure functions, for columns of Spark and for single texts.

Where a field `customer_id` holds the person, it becomes null: a purchase is a guest's from then
on. Wherever else the id stands by itself it becomes `erased`, if it is long enough to be told from
other numbers and words. An id that only begins like it is another person's and stays.
"""

import hashlib
import json
import re
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

TELLING = 8  # characters; a shorter id is looked for in fields `customer_id` alone
ERASED = "erased"

# Both Java and Python read these.
_FIELD = r'("customer_id"\s*:\s*)'
_FIELD_VALUE = _FIELD + r'(?:"(?:[^"\\]|\\.)*"|[^\s,}\]"]+)'
# The value of each such field at any depth, as JSON writes it; the text may end too early.
_FIELD_VALUES = r'"customer_id"\s*:\s*"?((?<=")(?:[^"\\]|\\.)*|(?<!")[^\s,}\]"]+)'
_NUMBER_ENDS = r"(?=\s*[,}\]])"
_BEFORE, _AFTER = r"(?<![\w@+-])(?<!\w\.)", r"(?![\w@+-]|\.\w)"
_SPECIAL = r"([\\^$.|?*+()\[\]{}-])"
_BLOCK_BYTES = 64  # of SHA-256, see RFC 2104


def forms(who: str) -> tuple[str, ...]:
    """The ways in which JSON may write an id: as it is, and with its escapes."""
    escaped = (json.dumps(who)[1:-1], json.dumps(who, ensure_ascii=False)[1:-1])
    return tuple(dict.fromkeys((who, *escaped)))


def scrub(text: str, who: str) -> str:
    """A text without the person; the very text if it does not name them."""
    for form in (form for form in forms(who) if form in text):
        own = re.escape(form)
        text = re.sub(rf'{_FIELD}(?:"{own}"|{own}{_NUMBER_ENDS})', r"\1null", text)
        if len(who) >= TELLING:
            text = re.sub(f"{_BEFORE}{own}{_AFTER}", ERASED, text, flags=re.ASCII)
    return text


def scrub_all(text: str, people: tuple[str, ...]) -> str:
    """A text without any of these people."""
    return reduce(scrub, people, text)


def scrubbed(text: Column, who: Column) -> Column:
    """The same of a column; `who` may differ by row.

    A field that writes the id with other escapes is known by its value.
    """
    own = F.regexp_replace(who, F.lit(_SPECIAL), F.lit(r"\\$1"))
    field = F.concat(
        F.lit(f'{_FIELD}(?:"'), own, F.lit('"|'), own, F.lit(f"{_NUMBER_ENDS})")
    )  # fmt: skip
    nobody = F.lit("$1null")
    named = F.regexp_replace(text, field, nobody)
    is_left = F.coalesce(customer(named) == who, F.lit(False))
    bare = F.when(is_left, F.regexp_replace(named, F.lit(_FIELD_VALUE), nobody)).otherwise(named)
    alone = F.concat(F.lit(_BEFORE), own, F.lit(_AFTER))
    without = F.regexp_replace(bare, alone, F.lit(ERASED))
    return F.when(F.length(who) >= TELLING, without).otherwise(bare)


def scrubbed_of(text: Column, people: tuple[str, ...]) -> Column:
    """A column without any of these people, in each form of their ids."""
    ids = [form for who in people for form in forms(who)]
    return reduce(lambda column, form: scrubbed(column, F.lit(form)), ids, text)


def may_mention(text: Column, people: tuple[str, ...]) -> Column:
    """Whether a text is worth a closer look."""
    ids = [form for who in people for form in forms(who)]
    found = reduce(Column.__or__, (F.contains(text, F.lit(form)) for form in ids))
    escaped = F.contains(text, F.lit("\\")) & customer(text).isin(*people)
    return F.coalesce(found | escaped, F.lit(False))


def customer(text: Column) -> Column:
    """The `customer_id` of an event's text; null if it has none, or is no JSON."""
    return F.get_json_object(text, "$.customer_id")


def without_erased(payload: Column, key: bytes, digests: tuple[str, ...]) -> Column:
    """An event's bytes without the people in fields `customer_id` whose keyed hash is a digest."""
    text = payload.cast("string")

    def is_erased(given: Column) -> Column:
        return F.coalesce(keyed_hash(_unescaped(given), key).isin(*digests), F.lit(False))

    def without(left: Column, given: Column) -> Column:
        return scrubbed(scrubbed(left, given), _unescaped(given))

    erased = F.filter(F.regexp_extract_all(text, F.lit(_FIELD_VALUES), F.lit(1)), is_erased)
    new = F.aggregate(erased, text, without).cast("binary")
    return F.when(F.size(erased) > 0, new).otherwise(payload)


def _unescaped(given: Column) -> Column:
    """What JSON says where it writes `given` between quotes."""
    text = F.get_json_object(F.concat(F.lit('{"v":"'), given, F.lit('"}')), "$.v")
    return F.when(F.contains(given, F.lit("\\")), text).otherwise(given)


def keyed_hash(text: Column, key: bytes) -> Column:
    """HMAC-SHA256 of a text's UTF-8, hexadecimal: what `hmac` gives, made of SHA-256 alone."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (F.lit(bytearray(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    inside = F.sha2(F.concat(inner, F.encode(text, "UTF-8")), 256)
    return F.sha2(F.concat(outer, F.unhex(inside)), 256)
