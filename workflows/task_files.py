"""The files that tasks name: relative to the file that declares them, and inside the bundle."""

from pathlib import Path

from pipelines.errors import BundleError
from workflows.tree import Node

FILES = {"spark_python_task": "python_file", "notebook_task": "notebook_path"}
NOTEBOOKS = (".py", ".ipynb", ".sql")


def file_of(kind: str, spec: Node, roots: tuple[Path, ...]) -> str | None:
    """The file that a task runs; None if the kind runs none or it lies in a workspace.

    Raises:
        BundleError: there is no such file, or it is outside the bundle.
    """
    path = spec.get("file").get("path") if kind == "sql_task" else spec.get(FILES.get(kind, ""))
    if path.value is None or spec.get("source").text("WORKSPACE") == "GIT":
        return None
    text = path.text()
    if text.startswith(str(roots[0])):  # ${workspace.file_path}/…, which is here
        wanted = Path(text)
    elif text.startswith("/") or ":/" in text or "{{" in text:
        return None
    else:
        wanted = path.file.parent / text
    endings = ("", *NOTEBOOKS) if kind == "notebook_task" else ("",)
    found = (wanted.with_name(wanted.name + ending).resolve() for ending in endings)
    file = next((file for file in found if file.is_file()), None)
    if file is None:
        raise BundleError(
            f"{path.where}: no file {wanted.resolve()}; paths are relative to the file that "
            "declares them"
        )
    if not any(file.is_relative_to(root) for root in roots):
        raise BundleError(
            f"{path.where}: {file} is outside the bundle; move it inside, or add its folder to "
            "sync.paths"
        )
    return str(file)


def wheels_of(libraries: Node) -> tuple[str, ...]:
    """The wheels that a task installs, as absolute patterns; other libraries must be installed."""
    texts = [entry.get("whl") for entry in libraries.elements if entry.get("whl").value]
    return tuple(str((node.file.parent / node.text()).resolve()) for node in texts)


def files_of(pattern: str) -> list[Path]:
    """The files that an absolute pattern stands for now."""
    path = Path(pattern)
    return sorted(path.parent.glob(path.name))
