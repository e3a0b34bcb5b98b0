"""gold.price_suggestions: one row per item and region; filled by `ml/`."""

from pipelines.table import Overwrite, Table

PRICE_SUGGESTIONS = Table(
    name="gold.price_suggestions",
    comment="One row per item and region with a price: what to charge, its effect, and why.",
    schema="""
        item_id             STRING NOT NULL COMMENT 'what',
        region              STRING NOT NULL COMMENT 'where',
        currency            STRING NOT NULL COMMENT 'ISO 4217 code of the money columns',
        price_cents         BIGINT NOT NULL COMMENT 'shelf price now, minor units',
        suggested_cents     BIGINT NOT NULL COMMENT 'shelf price suggested; the same if it stays',
        is_change           BOOLEAN NOT NULL COMMENT 'whether they differ',
        elasticity          DOUBLE NOT NULL COMMENT 'percent more units for one percent more price',
        elasticity_sd       DOUBLE NOT NULL COMMENT 'standard deviation of what is known of it',
        units_per_week      DOUBLE NOT NULL COMMENT 'expected at the price now',
        units_change        DOUBLE NOT NULL COMMENT 'expected change of it',
        units_change_low    DOUBLE NOT NULL COMMENT 'lower end of its 90 % interval',
        units_change_high   DOUBLE NOT NULL COMMENT 'upper end of its 90 % interval',
        profit_change_cents DOUBLE NOT NULL COMMENT 'expected change a week, see docs/pricing.md',
        profit_change_low   DOUBLE NOT NULL COMMENT 'lower end of its 90 % interval',
        profit_change_high  DOUBLE NOT NULL COMMENT 'upper end of its 90 % interval',
        confidence          DOUBLE COMMENT 'probability that profit rises; null if the price stays',
        reason              STRING NOT NULL COMMENT 'why, in words',
        as_of_at            TIMESTAMP NOT NULL COMMENT 'the newest event that was seen, UTC'
    """,
    write=Overwrite(keys=("item_id", "region")),
    cluster_by=("item_id", "region"),
)
