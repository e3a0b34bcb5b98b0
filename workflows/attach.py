"""Lets a task's process use a Spark JVM that is warm already, instead of starting its own.

The JVM belongs to the runner. A task that makes a session asks for one over a socket, with the
settings it wants; the connection is its lease. It gets a session of its own in the JVM, with its
own SQL settings and temporary views, and leaves no query, cache or job behind.
"""

import atexit
import json
import os
import socket
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from workflows.context import CONTEXT, task_context
from workflows.shims import install

CONTEXT_MODULE = "pyspark.core.context"
ADDRESS = "WORKFLOWS_SESSIONS"
# Settings of the session; all others are of the JVM. A JVM serves tasks that agree on the latter.
OF_SESSION = "spark.sql."
OF_JVM = (
    *("spark.sql.extensions", "spark.sql.catalog.", "spark.sql.warehouse.dir"),
    *("spark.sql.catalogImplementation", "spark.sql.codegen.cache.", "spark.sql.ui."),
)
PRIVATE = (CONTEXT, ADDRESS)


def hook() -> None:
    """Make Spark's context attach to a warm JVM, now or when it is imported."""
    install()
    if ADDRESS not in os.environ:
        return
    if CONTEXT_MODULE in sys.modules:
        _patch(sys.modules[CONTEXT_MODULE])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds Spark's context once, to change it after it was loaded."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != CONTEXT_MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self._inner.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        _patch(module)


def _patch(module: Any) -> None:
    launch, context = module.launch_gateway, module.SparkContext
    begin, lease = context._initialize_context, _Lease()

    def launch_gateway(conf: Any = None, popen_kwargs: Any = None) -> Any:
        wanted = dict(conf.getAll()) if conf else {}
        place = lease.asked(wanted)
        os.environ.update(PYSPARK_GATEWAY_PORT=str(place["port"]))
        os.environ.update(PYSPARK_GATEWAY_SECRET=place["secret"])
        try:
            return launch(conf, popen_kwargs)
        finally:
            del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]

    def initialize(self: Any, jconf: Any) -> Any:
        if not lease.warm:
            return begin(self, jconf)
        jvm = self._jvm
        classes = getattr(jvm, "org.apache.spark.sql.classic.SparkSession")
        fresh = classes.getDefaultSession().get().newSession()
        classes.setDefaultSession(fresh)
        classes.setActiveSession(fresh)
        return jvm.JavaSparkContext.fromSparkContext(fresh.sparkContext())

    def stop(self: Any) -> None:
        """Let the session go; the JVM stays for the next task."""
        lease.tidy(self)
        context._active_spark_context = None
        self._jsc = None

    module.launch_gateway, context._initialize_context, context.stop = (
        launch_gateway,
        initialize,
        stop,
    )
    # Registered before Spark's own hooks, so it runs after them.
    atexit.register(lambda: lease.end(context))


class _Lease:
    """The connection to the runner that lends the JVM."""

    def __init__(self) -> None:
        self._channel: socket.socket | None = None
        self.warm = False

    def asked(self, conf: dict[str, str]) -> dict[str, Any]:
        """Wait for a JVM with these settings; where it listens.

        Raises:
            RuntimeError: it could not start.
        """
        channel = self._channel = socket.socket(socket.AF_UNIX)
        channel.connect(os.environ[ADDRESS])
        context = task_context()
        own = {
            k: v for k, v in conf.items() if not k.startswith(OF_SESSION) or k.startswith(OF_JVM)
        }
        own.pop("spark.app.name", None)
        alike = [sorted(own.items()), sorted(context.environment.items()), os.getcwd()]  # noqa: PTH109
        environment = {k: v for k, v in os.environ.items() if k not in PRIVATE}
        request = {
            "alike": json.dumps(alike),
            "fresh": context.own_cluster,
            "command": _command(conf),
            "env": environment,
            "cwd": os.getcwd(),  # noqa: PTH109
        }
        channel.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(channel.makefile().readline() or "{}")
        if "port" not in answer:
            raise RuntimeError(answer.get("error", "the runner is gone"))
        self.warm = bool(answer["warm"])
        return answer

    def tidy(self, context: Any) -> None:
        """Leave nothing that goes on: queries, jobs and caches of the session."""
        if context is None or context._jsc is None:
            return
        classes = getattr(context._jvm, "org.apache.spark.sql.classic.SparkSession")
        for query in classes.getDefaultSession().get().streams().active():
            query.stop()
        context._jsc.sc().cancelAllJobs()
        classes.getDefaultSession().get().sharedState().cacheManager().clearCache()

    def end(self, context: Any) -> None:
        """Give the JVM back; without this word the runner ends it."""
        if self._channel is not None:
            self.tidy(context._active_spark_context)
            self._channel.sendall(b"bye\n")


def _command(conf: dict[str, str]) -> list[str]:
    """What Spark itself runs to start its JVM."""
    import shlex

    from workflows.spark import home

    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    arguments = shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", "pyspark-shell"))
    return [f"{home()}/bin/spark-submit", *settings, *arguments]
