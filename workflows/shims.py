"""Modules that a Databricks runtime has and a laptop lacks: where `dbutils` is imported from."""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = ("pyspark.dbutils", "databricks.sdk.runtime")


def install() -> None:
    """Let a task import them; nothing is loaded before it does."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MODULES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        from workflows.dbutils import DBUtils

        module.__dict__["DBUtils"] = DBUtils
        if module.__name__ == "databricks.sdk.runtime":
            utilities = DBUtils()
            module.__dict__.update(dbutils=utilities, getArgument=utilities.widgets.getArgument)
            module.__dict__.update(display=print, displayHTML=print, __getattr__=_session)


def _session(name: str) -> Any:
    """`spark` and `sc`, made when they are asked for."""
    if name not in ("spark", "sc"):
        raise AttributeError(name)
    from workflows.spark import session

    return session() if name == "spark" else session().sparkContext
