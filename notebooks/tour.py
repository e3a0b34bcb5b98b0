# Databricks notebook source
# MAGIC %md
# MAGIC # A tour of the lake
# MAGIC
# MAGIC Clicks, purchases, prices and stock come in as events. **Bronze** keeps every event as it came, **silver** holds
# MAGIC the typed facts, each once, and **gold** the answers: views that are refreshed with what has changed.
# MAGIC This notebook only reads. Run it here with `lakehouse run tour`, or in a workspace as it is.

# COMMAND ----------

# DBTITLE 1,The session
import os
import sys
from pathlib import Path

sys.path.append(str(Path.cwd().parent))  # in a workspace, a notebook starts in its own folder

import altair as alt

from pipelines.io.lake import table_path
from pipelines.io.query import query
from pipelines.io.session import spark_session
from pipelines.settings import load_settings

env, root = os.environ.get("LAKEHOUSE_ENV", "local"), os.environ.get("LAKEHOUSE_ROOT")
settings = load_settings(env, overrides={"root": root} if root else None)
spark = spark_session(settings)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What is in the lake
# MAGIC
# MAGIC Every event is in bronze. A purchase, click, price or stock movement is in silver exactly once, however often it was
# MAGIC sent.

# COMMAND ----------

# DBTITLE 1,Rows per table
display(query(spark, settings, """
    SELECT 'bronze.events' AS table_name, count(*) AS row_count FROM bronze.events
    UNION ALL SELECT 'silver.clicks', count(*) FROM silver.clicks
    UNION ALL SELECT 'silver.purchases', count(*) FROM silver.purchases
    UNION ALL SELECT 'silver.price_changes', count(*) FROM silver.price_changes
    UNION ALL SELECT 'silver.inventory_changes', count(*) FROM silver.inventory_changes
    UNION ALL SELECT 'silver.promotions', count(*) FROM silver.promotions
    UNION ALL SELECT 'silver.items', count(*) FROM silver.items
"""))

# COMMAND ----------

# MAGIC %md
# MAGIC ## When do people buy?
# MAGIC
# MAGIC `gold.sales_hourly` has one row per category, region, hour and currency. Summed by hour of the day it shows the
# MAGIC rhythm of the shops.

# COMMAND ----------

# DBTITLE 1,Revenue by hour of day and category
by_hour = query(spark, settings, """
    WITH largest AS (
      SELECT category FROM gold.sales_hourly GROUP BY category ORDER BY sum(revenue_cents) DESC LIMIT 6
    )
    SELECT category, hour(hour_at) AS hour_of_day, sum(revenue_cents) / 100 AS revenue
    FROM gold.sales_hourly JOIN largest USING (category)
    GROUP BY category, hour(hour_at)
""").toPandas()

display(
    alt.Chart(by_hour, title="Revenue by hour of day, the six largest categories")
    .mark_line(point=True)
    .encode(
        x=alt.X("hour_of_day:Q", title="hour of day (UTC)", axis=alt.Axis(tickCount=12)),
        y=alt.Y("revenue:Q", title="revenue"),
        color=alt.Color("category:N", title="category"),
    )
    .properties(width=640, height=280)
)

# COMMAND ----------

# DBTITLE 1,Best sellers of the last day in the lake
display(query(spark, settings, """
    SELECT category, region, rank, item_id, units, revenue_cents / 100 AS revenue
    FROM gold.top_sellers
    WHERE sale_date = (SELECT max(sale_date) FROM gold.top_sellers) AND rank <= 3
    ORDER BY revenue_cents DESC
    LIMIT 15
"""))

# COMMAND ----------

# MAGIC %md
# MAGIC ## How does a price move?
# MAGIC
# MAGIC `gold.current_prices` knows what an item costs now, `silver.price_changes` how it came to that. Here is the item
# MAGIC whose price moved most often.

# COMMAND ----------

# DBTITLE 1,Price history of one item
history = query(spark, settings, """
    WITH liveliest AS (
      SELECT item_id, region FROM silver.price_changes
      GROUP BY item_id, region ORDER BY count(*) DESC, item_id, region LIMIT 1
    )
    SELECT item_id, region, occurred_at, price_cents / 100 AS price
    FROM silver.price_changes JOIN liveliest USING (item_id, region)
    ORDER BY occurred_at
    LIMIT 5000
""").toPandas()

display(
    alt.Chart(history, title="Price of the item that changed most often")
    .mark_line(interpolate="step-after")
    .encode(
        x=alt.X("occurred_at:T", title=None),
        y=alt.Y("price:Q", title="price", scale=alt.Scale(zero=False)),
        detail=["item_id:N", "region:N"],
    )
    .properties(width=640, height=220)
)

# COMMAND ----------

# DBTITLE 1,What it costs now
display(query(spark, settings, """
    WITH liveliest AS (
      SELECT item_id, region FROM silver.price_changes
      GROUP BY item_id, region ORDER BY count(*) DESC, item_id, region LIMIT 1
    )
    SELECT item_id, region, price_cents / 100 AS price, currency, changed_at
    FROM gold.current_prices JOIN liveliest USING (item_id, region)
"""))

# COMMAND ----------

# MAGIC %md
# MAGIC ## From looking to buying
# MAGIC
# MAGIC `gold.item_funnel` counts, per item and day, how often it was looked at and bought.

# COMMAND ----------

# DBTITLE 1,The funnel by month
funnel = query(spark, settings, """
    SELECT date_trunc('MONTH', event_date) AS month, stack(2,
      'clicks', sum(click_count), 'purchases', sum(purchase_count)) AS (step, event_count)
    FROM gold.item_funnel
    GROUP BY date_trunc('MONTH', event_date)
""").toPandas()

display(
    alt.Chart(funnel, title="Clicks and purchases by month")
    .mark_bar()
    .encode(
        x=alt.X("yearmonth(month):O", title=None),
        xOffset="step:N",
        y=alt.Y("event_count:Q", title="events"),
        color=alt.Color("step:N", title=None),
    )
    .properties(width=640, height=220)
)

# COMMAND ----------

# DBTITLE 1,Looked at a lot, bought by few
display(query(spark, settings, """
    SELECT item_id, sum(click_count) AS clicks, sum(purchase_count) AS purchases,
      round(sum(purchase_count) / sum(click_count), 4) AS conversion
    FROM gold.item_funnel
    GROUP BY item_id
    HAVING sum(click_count) >= 50
    ORDER BY conversion, clicks DESC
    LIMIT 10
"""))

# COMMAND ----------

# DBTITLE 1,What is about to run out
display(query(spark, settings, """
    SELECT item_id, region, quantity, changed_at FROM gold.inventory_levels
    ORDER BY quantity, item_id, region
    LIMIT 10
"""))

# COMMAND ----------

# MAGIC %md
# MAGIC ## What was refused, and why
# MAGIC
# MAGIC An event that breaks a rule is not lost: it stands in a `*_quarantine` table, byte for byte, with its reasons.

# COMMAND ----------

# DBTITLE 1,Reasons
display(query(spark, settings, """
    WITH refused AS (
      SELECT 'bronze.events' AS table_name, reasons FROM bronze.events_quarantine
      UNION ALL SELECT 'silver.purchases', reasons FROM silver.purchases_quarantine
      UNION ALL SELECT 'silver.clicks', reasons FROM silver.clicks_quarantine
      UNION ALL SELECT 'silver.price_changes', reasons FROM silver.price_changes_quarantine
      UNION ALL SELECT 'silver.inventory_changes', reasons FROM silver.inventory_changes_quarantine
      UNION ALL SELECT 'silver.promotions', reasons FROM silver.promotions_quarantine
      UNION ALL SELECT 'silver.items', reasons FROM silver.items_quarantine
    )
    SELECT table_name, reason, count(*) AS event_count
    FROM refused LATERAL VIEW explode(reasons) AS reason
    GROUP BY table_name, reason
    ORDER BY event_count DESC
"""))

# COMMAND ----------

# MAGIC %md
# MAGIC ## The lake as it was
# MAGIC
# MAGIC Every table keeps its versions. Version 0 is what the first write left: `VERSION AS OF 0` in SQL, `versionAsOf` here.

# COMMAND ----------

# DBTITLE 1,silver.purchases: at first, and now
purchases = table_path(settings, "silver.purchases")
print("at version 0:", spark.read.format("delta").option("versionAsOf", 0).load(purchases).count(), "rows")
print("now:         ", spark.read.format("delta").load(purchases).count(), "rows")

# COMMAND ----------

# MAGIC %md
# MAGIC Next: ask your own questions with `lakehouse query "SELECT ..."`, or open the dashboard with `lakehouse serve`.
