"""`dbutils` without a workspace: what notebooks and Python files of a job call."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from workflows.context import get_value, set_value, task_context
from workflows.files import Files
from workflows.secrets import PREFIX, secret
from workflows.widgets import Widgets

_NONE = object()


class NotebookExit(BaseException):
    """`dbutils.notebook.exit` was called; the value is its argument."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class TaskValues:
    """`dbutils.jobs.taskValues`."""

    def set(self, key: str, value: Any) -> None:
        """Leave a value for the tasks that follow."""
        set_value(key, value)

    def get(
        self,
        taskKey: str,
        key: str,
        default: Any = _NONE,
        debugValue: Any = _NONE,
    ) -> Any:
        """The value of a task; outside of a job, `debugValue`."""
        if not task_context().store:
            if debugValue is _NONE:
                raise TypeError("outside of a job, taskValues.get needs a debugValue")
            return debugValue
        found, value = get_value(taskKey, key)
        if not found and default is _NONE:
            raise ValueError(f"task '{taskKey}' has set no value '{key}'; pass a default")
        return value if found else default


class Secrets:
    """`dbutils.secrets`, from the environment."""

    def get(self, scope: str, key: str) -> str:
        """A secret as text."""
        return secret(scope, key)

    def getBytes(self, scope: str, key: str) -> bytes:
        """A secret that is kept in base64."""
        return base64.b64decode(secret(scope, key))

    def values(self) -> list[str]:
        """Every secret that is set, so that a page can hide it."""
        import os

        return [text for name, text in os.environ.items() if name.startswith(PREFIX) and text]


class Notebook:
    """`dbutils.notebook`."""

    def __init__(self, run: Callable[[str, float, Mapping[str, str]], str]) -> None:
        self._run = run

    def exit(self, value: Any = "") -> None:
        """End the notebook here, successfully."""
        raise NotebookExit(str(value))

    def run(
        self,
        path: str,
        timeout_seconds: float = 0,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """Run another notebook by itself; what it exits with."""
        given = {key: str(value) for key, value in (arguments or {}).items()}
        return self._run(path, timeout_seconds, given)


class Library:
    """`dbutils.library`; what is installed here is installed before a run."""

    def restartPython(self) -> None:
        """Nothing to do: nothing was installed."""


class Jobs:
    """`dbutils.jobs`."""

    def __init__(self) -> None:
        self.taskValues = TaskValues()


class DBUtils:
    """The utilities of one notebook or file."""

    def __init__(
        self,
        spark: Any = None,
        *,
        widgets: Mapping[str, str] | None = None,
        run: Callable[[str, float, Mapping[str, str]], str] | None = None,
    ) -> None:
        self.widgets = Widgets(widgets or {})
        self.jobs = Jobs()
        self.secrets = Secrets()
        self.fs = Files()
        self.library = Library()
        self.notebook = Notebook(run or _no_notebook)


def _no_notebook(path: str, seconds: float, arguments: Mapping[str, str]) -> str:
    raise RuntimeError("dbutils.notebook.run works in a notebook only")
