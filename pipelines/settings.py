"""Settings: `conf/base.yml`, overlaid by `conf/<environment>.yml`, as one frozen object.

Precedence, lowest first: base.yml, the overlay, command-line overrides. An unknown key, a missing
file or a wrong type is a `ConfigError` that names the file and the line.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from ruamel.yaml.comments import CommentedMap

from pipelines.errors import ConfigError
from pipelines.plaintext import is_secret
from pipelines.settings_sections import (
    AuditSettings,
    DedupSettings,
    DocumentsSettings,
    ExperimentSettings,
    HotSettings,
    IngestSettings,
    MaintainSettings,
    ModelSettings,
    OnlineSettings,
    PricingSettings,
    QuerySettings,
    ReactionsSettings,
    S3Settings,
    SearchSettings,
    Section,
    ServingSettings,
    SourceSettings,
    SparkSettings,
)
from pipelines.yaml_file import locate, plain, read_yaml

# A folder, or a URI of a storage that Spark writes to, without a user and a password in it.
ROOT = r"^((s3a?|abfss?|gs|hdfs|dbfs)://[^\s:/?#]+(:\d+)?(/[^\s?#]*)?|[^\x00-\x1f:]+)$"
CONF_DIR = Path(__file__).resolve().parent.parent / "conf"


class Settings(Section):
    """Everything that can differ between environments."""

    env: str
    root: str = Field(pattern=ROOT)
    state_dir: str
    source: SourceSettings
    ingest: IngestSettings
    documents: DocumentsSettings
    dedup: DedupSettings
    s3: S3Settings
    maintain: MaintainSettings
    spark: SparkSettings
    model: ModelSettings
    experiment: ExperimentSettings
    online: OnlineSettings
    reactions: ReactionsSettings
    hot: HotSettings
    search: SearchSettings
    query: QuerySettings
    audit: AuditSettings
    pricing: PricingSettings
    serving: ServingSettings

    @property
    def state(self) -> Path:
        """The local folder of what is not a table: lock, ledger, broker, MLflow, online store."""
        if self.state_dir:
            return Path(self.state_dir).expanduser().absolute()
        if "://" in self.root:
            raise ConfigError(
                f"'state_dir' is empty and the lake is at {self.root}; set it to a local folder"
            )
        return Path(self.root).expanduser().absolute() / "_state"

    @property
    def api_keys(self) -> Path:
        """The digests of the API's keys."""
        return self.state / "api-keys.json"

    def in_lake(self, path: str) -> str:
        """A folder or URI; a relative path is meant from the lake's root."""
        if "://" in path or Path(path).is_absolute():
            return path
        if ".." in Path(path).parts:
            raise ConfigError(f"{path!r} leads out of the lake; write an absolute path or a URI")
        if "://" in self.root:
            return f"{self.root.rstrip('/')}/{path}"
        return str(Path(self.root).expanduser().absolute() / path)


def load_settings(
    env: str = "local",
    *,
    overrides: Mapping[str, Any] | None = None,
    conf_dir: Path = CONF_DIR,
) -> Settings:
    """The settings of one environment.

    Args:
        env: name of the overlay file in `conf_dir`, without `.yml`.
        overrides: dotted keys to values, e.g. `{"root": "/data/lake"}`; the last word.
        conf_dir: the folder that holds `base.yml`.

    Raises:
        ConfigError: a file is missing or malformed, a key unknown, a value of the wrong type.
    """
    base_file, overlay_file = conf_dir / "base.yml", conf_dir / f"{env}.yml"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", env):
        raise ConfigError(f"{env!r:.80} names no environment; use A-Z a-z 0-9 _ -")
    base, overlay = _read_yaml(base_file), _read_yaml(overlay_file)
    merged: dict[str, Any] = {"env": env} | _merge(base, overlay)
    _refuse_secrets(overlay_file, overlay)
    _refuse_secrets(base_file, base)
    for dotted, value in (overrides or {}).items():
        if is_secret("", str(value)):
            raise ConfigError(f"the command line: '{dotted}' holds a secret; take it out")
        _put(merged, dotted.split("."), value)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = tuple(str(part) for part in first["loc"])
        is_given = any(key[: len(given)] == given for given in _paths(overrides or {}))
        where = (
            "the command line"
            if is_given
            else locate(key, (overlay_file, overlay), (base_file, base))
        )
        raise ConfigError(
            f"{where}: '{'.'.join(key)}': {plain(first)}; correct the file or see conf/base.yml"
        ) from None


def _read_yaml(path: Path) -> CommentedMap:
    if not path.is_file():
        known = ", ".join(sorted(f.stem for f in path.parent.glob("*.yml") if f.stem != "base"))
        raise ConfigError(f"{path}: no such settings file; environments here: {known or 'none'}")
    return read_yaml(path, ConfigError)


def _refuse_secrets(path: Path, document: Mapping[str, Any]) -> None:
    """Settings are committed: what is secret comes from the environment or a secret scope."""

    def walk(node: Any, key: tuple[str | int, ...]) -> None:
        if isinstance(node, Mapping | list):
            entries = node.items() if isinstance(node, Mapping) else enumerate(node)
            for name, below in entries:
                walk(below, (*key, name))
        elif isinstance(node, str) and is_secret(str(key[-1]), node):
            raise ConfigError(
                f"{locate(key, (path, document))}: '{'.'.join(map(str, key))}' holds a secret in "
                "plain text; take it out, make a new one, and set that in the environment"
            )

    walk(document, ())


def _merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(below, value) if both and below is not None else value
    return merged


def _paths(overrides: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [tuple(dotted.split(".")) for dotted in overrides]


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        below = tree.get(part)
        if below is not None and not isinstance(below, Mapping):
            raise ConfigError(f"'{'.'.join(path)}': '{part}' holds one value, no keys")
        tree[part] = dict(below or {})
        tree = tree[part]
    tree[path[-1]] = value
