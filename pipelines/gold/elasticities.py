"""gold.elasticities: one row per category and per item; filled by `ml/`."""

from pipelines.table import Overwrite, Table

ELASTICITIES = Table(
    name="gold.elasticities",
    comment="One row per category and per item: how its demand follows its price, by the model.",
    schema="""
        kind              STRING NOT NULL COMMENT 'category or item',
        name              STRING NOT NULL COMMENT 'the category, or the item_id',
        category          STRING NOT NULL COMMENT 'of the item; the category itself',
        elasticity        DOUBLE NOT NULL COMMENT 'percent more units for one percent more price',
        elasticity_sd     DOUBLE NOT NULL COMMENT 'standard deviation of what is known of it',
        elasticity_low    DOUBLE NOT NULL COMMENT 'lower end of its 90 % interval',
        elasticity_high   DOUBLE NOT NULL COMMENT 'upper end of its 90 % interval',
        displayed         DOUBLE NOT NULL COMMENT 'log of the multiple of units when on display',
        mailed            DOUBLE NOT NULL COMMENT 'log of the multiple of units when in the mailer',
        item_count        INT NOT NULL COMMENT 'items that it was learned from',
        week_count        INT COMMENT 'weeks in which the item was sold',
        units_per_week    DOUBLE COMMENT 'demand at the usual price without promotion',
        demand_shape      DOUBLE COMMENT 'shape of the gamma distribution of that demand',
        demand_rate       DOUBLE COMMENT 'rate of the gamma distribution of that demand',
        shift             DOUBLE COMMENT 'demand lately over that of all weeks, minus 1',
        usual_price_cents DOUBLE COMMENT 'median price paid for a unit, minor units',
        last_price_cents  DOUBLE COMMENT 'last price paid for a unit, minor units'
    """,
    write=Overwrite(keys=("kind", "name")),
    cluster_by=("kind", "name"),
)
