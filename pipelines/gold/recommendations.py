"""gold.recommendations: one row per customer and rank; filled by `ml/`."""

from pipelines.table import Overwrite, Table

RECOMMENDATIONS = Table(
    name="gold.recommendations",
    comment="One row per customer and rank: what to offer next, by the champion model.",
    schema="""
        customer_id   STRING NOT NULL COMMENT 'for whom',
        rank          INT NOT NULL COMMENT '1 is the best',
        item_id       STRING NOT NULL COMMENT 'what',
        score         DOUBLE NOT NULL COMMENT 'predicted preference, comparable within a customer',
        model_version STRING NOT NULL COMMENT 'registered version that made it'
    """,
    write=Overwrite(keys=("customer_id", "rank")),
    cluster_by=("customer_id",),
)
