"""gold.recommendations: one row per customer and rank; filled by `ml/`."""

from pipelines.table import Append, Overwrite, Table

_COLUMNS = """
        customer_id   STRING NOT NULL COMMENT 'for whom',
        rank          INT NOT NULL COMMENT '1 is the best',
        item_id       STRING NOT NULL COMMENT 'what',
        score         DOUBLE NOT NULL COMMENT 'chance to buy it within the weeks ahead',
        reason        STRING NOT NULL COMMENT 'again, like, region, new or popular',
        because       STRING COMMENT 'like: which item; again: days between purchases',
        model_version STRING NOT NULL COMMENT 'registered version that made it'
"""

RECOMMENDATIONS = Table(
    name="gold.recommendations",
    comment="One row per customer and rank: what to offer next, by the champion model.",
    schema=_COLUMNS,
    write=Overwrite(keys=("customer_id", "rank")),
    cluster_by=("customer_id",),
)

PARTS = Table(
    name="gold.recommendation_parts",
    comment="One row per customer and rank of a batch that is not complete yet; else empty.",
    schema=f"""{_COLUMNS},
        batch         STRING NOT NULL COMMENT 'model, purchases and number of parts'
    """,
    write=Append(),
    cluster_by=("batch",),
)
