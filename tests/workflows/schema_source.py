"""Writes workflows/schema.json: what the public API takes of jobs and pipelines.

`python tests/workflows/schema_source.py`, after databricks-sdk (Apache-2.0) was updated. What a
bundle adds to the API stands here; test_schema.py compares all of it with `databricks-bundles`.
"""

import dataclasses
import enum
import json
import types
import typing
from pathlib import Path
from typing import Any

from databricks.sdk.service import jobs, pipelines

SCHEMA = Path(__file__).resolve().parents[2] / "workflows" / "schema.json"

# A bundle's resources against the API's requests.
ADDED: dict[str, dict[str, str]] = {
    "JobSettings": {"lifecycle": "Lifecycle", "permissions": "[Permission]"},
    "PipelineSpec": {
        "allow_duplicate_names": "bool",
        "cascade_on_destroy": "bool",
        "lifecycle": "Lifecycle",
        "parameters": "{str}",
        "permissions": "[Permission]",
        "run_as": "JobRunAs",
    },
    "ClusterSpec": {"apply_policy_default_values": "bool"},
}
REMOVED = {  # a deployment fills these in
    "JobSettings": ("deployment", "edit_mode", "format"),
    "PipelineSpec": ("deployment", "dry_run"),
}
KINDS = (
    *("alerts", "apps", "catalogs", "cluster_policies", "clusters", "dashboards"),
    *("database_catalogs", "database_instances", "experiments", "external_locations", "features"),
    *("genie_spaces", "instance_pools", "job_runs", "mcp_services", "model_provider_services"),
    *("model_services", "model_serving_endpoints", "models", "postgres_branches"),
    *("postgres_catalogs", "postgres_databases", "postgres_endpoints", "postgres_projects"),
    *("postgres_roles", "postgres_synced_tables", "quality_monitors", "registered_models"),
    *("schemas", "secret_scopes", "secrets", "sql_warehouses", "synced_database_tables"),
    *("vector_search_endpoints", "vector_search_indexes", "volumes"),
)
# The language around the resources: `databricks bundle schema`, read as documentation.
COMMON = {
    "artifacts": "{Artifact}",
    "bundle": "Bundle",
    "permissions": "[Permission]",
    "presets": "Presets",
    "resources": "Resources",
    "run_as": "JobRunAs",
    "sync": "Sync",
    "workspace": "Workspace",
}
OWN: dict[str, Any] = {
    "Root": COMMON
    | {
        "environments": "{Target}",
        "experimental": "any",
        "include": "[str]",
        "python": "any",
        "scripts": "any",
        "targets": "{Target}",
        "variables": "{Variable}",
    },
    "Target": COMMON
    | {
        "cluster_id": "str",
        "compute_id": "str",
        "default": "bool",
        "git": "Git",
        "mode": "Mode",
        "variables": "{any}",
    },
    "Mode": ["development", "production"],
    "Artifact": {
        "build": "str",
        "dynamic_version": "bool",
        "executable": "str",
        "files": "[any]",
        "path": "str",
        "type": "str",
    },
    "Bundle": {
        "cluster_id": "str",
        "compute_id": "str",
        "databricks_cli_version": "str",
        "deployment": "any",
        "engine": "str",
        "git": "Git",
        "name": "str",
        "uuid": "str",
    },
    "Git": {"branch": "str", "origin_url": "str"},
    "Lifecycle": {"prevent_destroy": "bool", "started": "bool"},
    "Permission": {
        "level": "str",
        "user_name": "str",
        "group_name": "str",
        "service_principal_name": "str",
    },
    "Presets": {
        "artifacts_dynamic_version": "bool",
        "jobs_max_concurrent_runs": "int",
        "name_prefix": "str",
        "pipelines_development": "bool",
        "source_linked_deployment": "bool",
        "tags": "{str}",
        "trigger_pause_status": "PauseStatus",
    },
    "Resources": {kind: "{any}" for kind in KINDS}
    | {"jobs": "{JobSettings}", "pipelines": "{PipelineSpec}"},
    "Sync": {"exclude": "[str]", "include": "[str]", "paths": "[str]"},
    "Variable": {"default": "any", "description": "str", "lookup": "Lookup", "type": "str"},
    "Lookup": dict.fromkeys(
        (
            *("alert", "cluster", "cluster_policy", "dashboard", "instance_pool", "job"),
            *("metastore", "notification_destination", "pipeline", "query"),
            *("service_principal", "warehouse"),
        ),
        "str",
    ),
    "Workspace": dict.fromkeys(
        (
            *("account_id", "artifact_path", "auth_type", "azure_client_id"),
            *("azure_environment", "azure_login_app_id", "azure_tenant_id"),
            *("azure_workspace_resource_id", "client_id", "file_path", "google_service_account"),
            *("host", "profile", "resource_path", "root_path", "state_path", "workspace_id"),
        ),
        "str",
    ),
}


def schema() -> dict[str, Any]:
    """Every type of the language: its fields, or the values of an enum."""
    found: dict[str, Any] = dict(OWN)
    for root in (jobs.JobSettings, pipelines.PipelineSpec):
        _add(root, found)
    return dict(sorted(found.items()))


def _add(kind: type, found: dict[str, Any]) -> str:
    if kind.__name__ in found:
        return kind.__name__
    if issubclass(kind, enum.Enum):
        found[kind.__name__] = [member.value for member in kind]
        return kind.__name__
    fields = found[kind.__name__] = {}
    for name, hint in typing.get_type_hints(kind).items():
        if name not in REMOVED.get(kind.__name__, ()):
            fields[name] = _notation(hint, found)
    fields |= ADDED.get(kind.__name__, {})
    return kind.__name__


def _notation(hint: Any, found: dict[str, Any]) -> str:
    """`str`, `int`, `bool`, `num`, `any`, `Type`, `[list of]`, `{map to}`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _notation(next(a for a in arguments if a is not type(None)), found)
    if origin is list:
        return f"[{_notation(arguments[0], found)}]"
    if origin is dict:
        return f"{{{_notation(arguments[1], found)}}}"
    if dataclasses.is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        return _add(hint, found)  # type: ignore[arg-type]
    return {str: "str", int: "int", bool: "bool", float: "num"}.get(hint, "any")


def text() -> str:
    """The file: one type a line."""
    lines = (f" {json.dumps(name)}: {json.dumps(fields)}" for name, fields in schema().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    SCHEMA.write_text(text())
