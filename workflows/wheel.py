"""Run an entry point of a package: a `python_wheel_task`."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution


def main() -> None:
    """Call the entry point that the arguments name first; the rest are its own.

    An entry point that the package's metadata do not name is a function of its module.
    """
    package, entry_point, *arguments = sys.argv
    sys.argv = [package, *arguments]
    try:
        points = [*distribution(package).entry_points.select(name=entry_point)]
    except PackageNotFoundError:
        points = []
    for point in points:
        sys.exit(point.load()())
    module = import_module(package.replace("-", "_"))
    if not hasattr(module, entry_point):
        raise AttributeError(f"package '{package}' has no entry point '{entry_point}'")
    sys.exit(getattr(module, entry_point)())
