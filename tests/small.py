"""Settings by which a lake of a few thousand events is quick."""

SMALL = {
    "spark.master": "local[2]",
    "spark.driver_memory": "2g",
    "spark.shuffle_partitions": 2,
    "spark.conf": {
        "spark.sql.adaptive.enabled": "false",  # replanning costs more than it saves
        # One session sees some thousand tables. What Delta keeps of 400 filled a heap of 2 GB, and
        # after an hour half of the time went into collecting it.
        "spark.databricks.delta.delta.log.cacheSize": "100",
    },
    "model.rank": 4,
    "model.iterations": 2,
    "model.min_item_customers": 1,
    "model.min_interactions": 10,
    "model.trees": 2,
    "model.depth": 2,
    "source.kafka.partitions": 2,
}
