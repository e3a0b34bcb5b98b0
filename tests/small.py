"""Settings by which a lake of a few thousand events is quick."""

SMALL = {
    "spark.master": "local[2]",
    "spark.driver_memory": "2g",
    "spark.shuffle_partitions": 2,
    "spark.conf": {
        "spark.sql.adaptive.enabled": "false",  # replanning costs more than it saves
        # One session sees some thousand tables; all their logs would fill the heap.
        "spark.databricks.delta.delta.log.cacheSize": "400",
    },
    "model.rank": 4,
    "model.iterations": 2,
    "model.min_item_customers": 1,
    "model.min_interactions": 10,
    "model.trees": 2,
    "model.depth": 2,
    "source.kafka.partitions": 2,
}
