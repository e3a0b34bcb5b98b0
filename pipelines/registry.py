"""Every table and view of the lake. All else (jobs, checks, docs, tests) derives from here."""

from collections.abc import Callable, Iterable

from pyspark.sql import DataFrame

from pipelines.bronze.erasures import ERASURES
from pipelines.bronze.events import EVENTS
from pipelines.errors import RegistryError
from pipelines.gold.dead_letters import DEAD_LETTERS
from pipelines.gold.elasticities import ELASTICITIES
from pipelines.gold.price_suggestions import PRICE_SUGGESTIONS
from pipelines.gold.recommendations import PARTS, RECOMMENDATIONS
from pipelines.gold.refreshes import REFRESHES
from pipelines.silver.batches import BATCHES
from pipelines.silver.clicks import CLICKS, clicks
from pipelines.silver.documents import DOCUMENTS, DOCUMENTS_QUARANTINE
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.impressions import IMPRESSIONS, impressions
from pipelines.silver.inventory_changes import INVENTORY_CHANGES, inventory_changes
from pipelines.silver.items import ITEMS, items
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.silver.price_changes import PRICE_CHANGES, price_changes
from pipelines.silver.promotions import PROMOTIONS, promotions
from pipelines.silver.purchases import PURCHASES, purchases
from pipelines.silver.quality import QUALITY
from pipelines.table import Overwrite, Table, Upsert, quarantine_of
from pipelines.view import GOLD_DIR, View, check_columns, line_of_table, load_views

_TRANSFORMATIONS: dict[Table, Callable[[DataFrame], DataFrame]] = {
    CLICKS: clicks,
    PURCHASES: purchases,
    PRICE_CHANGES: price_changes,
    INVENTORY_CHANGES: inventory_changes,
    PROMOTIONS: promotions,
    IMPRESSIONS: impressions,
    ITEMS: items,
}

# The tables that take events, one per event type.
SILVER_EVENTS: tuple[Table, ...] = tuple(_TRANSFORMATIONS)
QUARANTINES: tuple[Table, ...] = tuple(map(quarantine_of, (EVENTS, *SILVER_EVENTS)))
TABLES: tuple[Table, ...] = (
    EVENTS,
    *SILVER_EVENTS,
    DROPPED_EVENTS,
    LATE_EVENTS,
    *QUARANTINES,
    BATCHES,
    DOCUMENTS,
    DOCUMENTS_QUARANTINE,
    QUALITY,
    ELASTICITIES,
    PRICE_SUGGESTIONS,
    PARTS,
    RECOMMENDATIONS,
    REFRESHES,
    DEAD_LETTERS,
    ERASURES,
)
# What `ingest` writes: all that is not derived from silver.
INGESTED: tuple[Table, ...] = tuple(
    table for table in TABLES if table.layer != "gold" and table not in (QUALITY, ERASURES)
)
VIEWS: tuple[View, ...] = load_views(GOLD_DIR)
NAMES: tuple[str, ...] = (*(table.name for table in TABLES), *(view.name for view in VIEWS))


def transformation(table: Table) -> Callable[[DataFrame], DataFrame]:
    """The pure function that makes a silver table's rows from typed events."""
    return _TRANSFORMATIONS[table]


def views_in_order(names: Iterable[str] = (), views: Iterable[View] = VIEWS) -> list[View]:
    """The named views (all if none is named), each after the views that it reads.

    Raises:
        RegistryError: an unknown name, or views that read each other in a circle.
    """
    by_name = {view.name: view for view in views}
    done: dict[str, View] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name))
            where = f"{by_name[path[-1]].path}:{line_of_table(by_name[path[-1]], name)}"
            raise RegistryError(f"{where}: views read each other in a circle: {circle}")
        if name in done or name not in by_name:
            return
        for source in by_name[name].inputs:
            visit(source, (*path, name))
        done[name] = by_name[name]

    wanted = [_full_name(name, by_name) for name in names] or list(by_name)
    for name in wanted:
        visit(name, ())
    return [view for name, view in done.items() if not names or name in wanted]


def _full_name(name: str, by_name: dict[str, View]) -> str:
    full = name if "." in name else f"gold.{name}"
    if full not in by_name:
        raise RegistryError(f"no view named {name}; there are {', '.join(sorted(by_name))}")
    return full


def check(tables: Iterable[Table] = TABLES, views: Iterable[View] = VIEWS) -> None:
    """The dry run: whether everything fits together, without data and without a session.

    Raises:
        RegistryError: a duplicate name, an unknown input, a circle, a key or clustering column
            that is not in the schema.
        ViewError: a view names a column that its inputs lack.
    """
    tables, views = tuple(tables), tuple(views)
    names = [table.name for table in tables] + [view.name for view in views]
    for name in names:
        if names.count(name) > 1:
            raise RegistryError(f"two tables are named {name}; rename one")
    for table in tables:
        _check_columns(table)
    for view in views:
        for source in view.inputs:
            if source not in names:
                where = f"{view.path}:{line_of_table(view, source)}"
                raise RegistryError(f"{where}: reads {source}, which does not exist")
    views_in_order(views=views)
    columns = {table.name: table.columns for table in tables}
    columns |= {view.name: tuple(name for name, _ in view.column_comments) for view in views}
    for view in views:
        check_columns(view, columns)


def _check_columns(table: Table) -> None:
    strategy = table.write
    keys: tuple[str, ...] = ()
    if isinstance(strategy, Upsert):
        keys = strategy.keys + strategy.sequence_by
    elif isinstance(strategy, Overwrite):
        keys = strategy.keys
    for column in (*keys, *table.cluster_by):
        if column not in table.columns:
            raise RegistryError(f"{table.name}: key or clustering column {column} is not in it")
