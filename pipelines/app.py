"""The command line's application and the options that every command has."""

from typing import Annotated

import typer

app = typer.Typer(
    help="An open retail lakehouse: events to tables, views, recommendations and live answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Env = Annotated[str, typer.Option("--env", help="Settings overlay: conf/ENV.yml.")]
Root = Annotated[str | None, typer.Option("--root", help="The lake: a folder or a URI.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
