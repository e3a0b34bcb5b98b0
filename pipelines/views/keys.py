"""The keys that a change touches: how many, between which values, and what they select."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.views.signed import WEIGHT

_BROADCAST_ROWS = 1_000_000
_BOUNDED = (T.IntegralType, T.DateType, T.TimestampType, T.StringType, T.DecimalType)


@dataclass(frozen=True)
class Keys:
    """The touched keys, and what is known of them."""

    rows: DataFrame
    count: int
    has_null: frozenset[str]
    bounds: dict[str, tuple[str, str]]


def only(rows: DataFrame, keys: Keys, names: Sequence[str], how: str = "left_semi") -> DataFrame:
    """The rows whose keys are touched; `inner` adds nothing of the keys but `WEIGHT`."""
    wanted = keys.rows.select(*names, *([WEIGHT] if WEIGHT in keys.rows.columns else ()))
    touched_keys = F.broadcast(wanted) if keys.count <= _BROADCAST_ROWS else wanted
    renamed = touched_keys.alias("k")
    condition = reduce(Column.__and__, (same(keys, name, "k", "v") for name in names))
    joined = rows.alias("v").join(renamed, condition, how)
    if how == "left_semi":
        return joined
    extra = [F.col(f"k.{WEIGHT}")] if WEIGHT in keys.rows.columns else []
    return joined.select("v.*", *extra)


def same(keys: Keys, name: str, one: str, other: str) -> Column:
    ours, theirs = F.col(f"{one}.{quoted(name)}"), F.col(f"{other}.{quoted(name)}")
    return ours.eqNullSafe(theirs) if name in keys.has_null else ours == theirs


def within(view: DataFrame, keys: Keys) -> DataFrame:
    """The files of a view that can hold touched keys, by their smallest and largest values."""
    for name, (low, high) in keys.bounds.items():
        view = view.where(f"{quoted(name)} >= {low} AND {quoted(name)} <= {high}")
    return view


def find_keys(rows: DataFrame, names: Sequence[str]) -> Keys:
    """Keep the touched keys in memory, and learn their number and bounds in one pass."""
    kept = rows.persist()
    bounded = [name for name in names if isinstance(kept.schema[name].dataType, _BOUNDED)]
    nulls = [
        F.count_if(F.col(quoted(name)).isNull()).alias(f"n{i}") for i, name in enumerate(names)
    ]
    ends = [
        end(quoted(name)).cast("string").alias(f"{end.__name__}{i}")
        for i, name in enumerate(bounded)
        for end in (F.min, F.max)
    ]
    found = kept.agg(F.count("*").alias("rows"), *nulls, *ends).collect()[0]
    has_null = frozenset(name for i, name in enumerate(names) if found[f"n{i}"])
    bounds = {
        name: (_literal(kept, name, found[f"min{i}"]), _literal(kept, name, found[f"max{i}"]))
        for i, name in enumerate(bounded)
        if found["rows"] and name not in has_null
    }
    return Keys(kept, found["rows"], has_null, bounds)


def _literal(rows: DataFrame, name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"CAST('{escaped}' AS {rows.schema[name].dataType.simpleString()})"


def quoted(name: str) -> str:
    return f"`{name}`"
