"""The commands of the API's keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import show, table
from pipelines.running import settings_for, writing
from serving.keys import add_key, load_keys, revoke_key

LOCK = "API keys"

keys = typer.Typer(help="Who may ask the API for what, and how often.", no_args_is_help=True)
app.add_typer(keys, name="keys")
Name = Annotated[str, typer.Argument(help="Says in logs who asked.")]


@keys.command()
def add(
    name: Name,
    scope: Annotated[list[str], typer.Option(help="read, events, metrics, dashboard; repeat.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    rate: Annotated[float, typer.Option(help="Requests per second, in the long run.")] = 100.0,
    burst: Annotated[int, typer.Option(help="Requests at once.")] = 200,
    customer: Annotated[str | None, typer.Option(help="May read of this one alone.")] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Expires after; else never.")] = None,
) -> None:
    """Make a key and print it, this once."""
    settings = settings_for(env, root)
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with writing(settings, LOCK):
        key = add_key(
            settings.api_keys,
            name,
            scope,
            rate=rate,
            burst=burst,
            expires_at=until,
            customer=customer,
        )
    show({"name": name, "key": key}, as_json=as_json, text=key)


@keys.command("list")
def list_keys(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Name, scopes and limits of every key, never the key."""
    found = load_keys(settings_for(env, root).api_keys)
    told = [
        {
            "name": key.name,
            "scopes": list(key.scopes),
            "customer": key.customer,
            "rate": key.rate,
            "burst": key.burst,
            "expires_at": key.expires_at and datetime.fromtimestamp(key.expires_at, UTC),
        }
        for key in found
    ]
    rows = [
        (
            key.name,
            " ".join(key.scopes),
            key.customer,
            key.rate,
            key.burst,
            one["expires_at"] or "never",
        )
        for key, one in zip(found, told, strict=True)
    ]
    columns = ("name", "scopes", "customer", "requests/s", "at once", "expires")
    show({"keys": told}, as_json=as_json, text=table("API keys", columns, rows))


@keys.command()
def revoke(name: Name, env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Delete a key; servers refuse it a second later."""
    settings = settings_for(env, root)
    with writing(settings, LOCK):
        revoke_key(settings.api_keys, name)
    show({"revoked": name}, as_json=as_json, text=f"{name} is revoked")
