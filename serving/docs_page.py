"""The documentation of the API as one page that loads nothing else."""

import html
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a414d); }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 0 auto; padding: 1.5rem;
  background: light-dark(#fff, #14171c); color: light-dark(#1b1f24, #e8eaed); }
section { border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1rem 1rem;
  margin: 1rem 0; overflow-x: auto; }
h2 { font: 600 1rem ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; }
th, td { border-top: 1px solid var(--line); padding: .25rem .75rem .25rem 0; text-align: left; }
a { color: light-dark(#0b57d0, #9cc2ff); }
"""


def docs_page(openapi: dict[str, Any]) -> str:
    """The operations of an OpenAPI document as one page of HTML that loads nothing else."""
    title = html.escape(openapi["info"]["title"])
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} API</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{title} API</h1><p>Errors are RFC 9457 problem documents. The full description is"
        ' in <a href="/openapi.json">openapi.json</a>.</p>'
        f"{operations}</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{html.escape(p["name"])}</code></th><td>{p["in"]}</td>'
        f"<td>{html.escape(_rule(p))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    head = '<tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Rule</th></tr>'
    table = f"<table><caption>Parameters</caption>{head}{rows}</table>" if rows else ""
    return (
        f"<section><h2>{method.upper()} {html.escape(path)}</h2>"
        f"<p>{html.escape(operation.get('description', ''))}</p>{table}</section>"
    )


def _rule(parameter: dict[str, Any]) -> str:
    shape = parameter["schema"]
    default = f", default {shape['default']!r}" if shape.get("default") not in (None, "") else ""
    bounds = f" {shape['minimum']} to {shape['maximum']}" if "maximum" in shape else ""
    note = f"; {parameter['description']}" if "description" in parameter else ""
    required = "required " if parameter.get("required") else ""
    return f"{required}{shape['type']}{bounds}{default}{note}"
