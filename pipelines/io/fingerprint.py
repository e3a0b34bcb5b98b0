"""Whether two frames hold the same rows, in one pass over each and without a shuffle of rows."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Fingerprint:
    """Order-independent digest of a multiset of rows.

    A sum tells a row from its repetition, which an exclusive-or alone does not; together they
    make a chance agreement of two different tables about one in 2**94.
    """

    rows: int
    xor: int
    total: int


def fingerprint(df: DataFrame) -> Fingerprint:
    """Digest of all rows and columns; columns are taken in the frame's order."""
    # A null leaves the hash as it is, so without the flags (1, null) would equal (null, 1).
    flags = (F.col(column).isNull() for column in df.columns)
    digest = F.xxhash64(*df.columns, *flags)
    # 2**31 - 1 keeps the sum of 10**9 rows within a BIGINT.
    row = df.select(digest.alias("h")).agg(
        F.count("*").alias("rows"),
        F.coalesce(F.bit_xor("h"), F.lit(0)).alias("xor"),
        F.coalesce(F.sum(F.pmod("h", F.lit(2**31 - 1))), F.lit(0)).alias("total"),
    )
    return Fingerprint(**row.collect()[0].asDict())
