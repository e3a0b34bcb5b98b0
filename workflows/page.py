"""A notebook that has run, as one page: no script, no file beside it, light and dark."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from workflows.cells import CellResult

ROWS_SHOWN = 50

# Charts take the page's text colour, so that they are legible in the dark too.
CHART_COLOURS: dict[str, Any] = {
    "background": "transparent",
    "axis": {"labelColor": "currentColor", "titleColor": "currentColor", "gridColor": "#8884"},
    "legend": {"labelColor": "currentColor", "titleColor": "currentColor"},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor"},
    "title": {"color": "currentColor", "subtitleColor": "currentColor"},
    "view": {"stroke": "#8886"},
}

STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --line: #d9dce1;
  --page: #fff; --code: #f6f7f9; --accent: #0b68cb; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --soft: #a0a6ae;
  --line: #363b42; --page: #16181b; --code: #1f2226; --accent: #6cb2ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--page);
  color: var(--text); font: 16px/1.6 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.25; }
a { color: var(--accent); }
section { margin: 1.5rem 0; }
pre { margin: 0; padding: .75rem 1rem; overflow-x: auto; background: var(--code);
  border-radius: .5rem; font: .85rem/1.5 ui-monospace, monospace; }
summary { color: var(--soft); cursor: pointer; font-size: .85rem; }
.output { margin-top: .75rem; overflow-x: auto; }
.output pre { background: none; border: 1px solid var(--line); }
.note { color: var(--soft); font-size: .85rem; margin: .25rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--line); text-align: left; }
svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True)
class Svg:
    """A chart, drawn."""

    source: str


def snapshot(value: Any) -> Any:
    """What a page shows of a value, as it is now: the session may end and the table change.

    Of a Spark or pandas DataFrame these are the first rows, as pandas; an altair chart is drawn.
    """
    if hasattr(value, "toPandas") and hasattr(value, "limit"):
        return value.limit(ROWS_SHOWN + 1).toPandas()
    if _is_frame(value):
        return value.head(ROWS_SHOWN + 1).copy()
    if type(value).__module__.startswith("altair."):
        import vl_convert  # 20 MB, and few notebooks have charts

        # A chart holds its data; nothing is fetched.
        return Svg(
            vl_convert.vegalite_to_svg(value.to_dict(), config=CHART_COLOURS, allowed_base_urls=[])
        )
    return f"{value}\n" if isinstance(value, str) else value


def _is_frame(value: Any) -> bool:
    return hasattr(value, "to_html") and hasattr(value, "head")


def render_html(results: Iterable[CellResult], title: str) -> str:
    """The page of a notebook: texts, code folded away, tables and charts."""
    body = "\n".join(_section(result) for result in results)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(result: CellResult) -> str:
    cell = result.cell
    heading = f"<h3>{escape(cell.title)}</h3>\n" if cell.title else ""
    if cell.kind == "md":
        return f"<section>{heading}{_markdown(cell.source)}</section>"
    language = {"sql": "SQL"}.get(cell.kind, cell.kind.title())
    code = (
        f"<details><summary>{language}, {result.seconds:.1f} s</summary>"
        f"<pre><code>{escape(cell.source)}</code></pre></details>"
    )
    outputs = "\n".join(f'<div class="output">{_output(value)}</div>' for value in result.outputs)
    return f"<section>{heading}{code}\n{outputs}</section>"


def _markdown(source: str) -> str:
    import mistune

    to_html = mistune.create_markdown(escape=True, plugins=["table", "strikethrough", "url"])
    return str(to_html(source))


def _output(value: Any) -> str:
    if isinstance(value, Svg):
        return value.source
    if _is_frame(value):
        return _table(value)
    text = value if isinstance(value, str) else repr(value)
    return f"<pre>{escape(text.rstrip())}</pre>"


def _table(frame: Any) -> str:
    table: str = frame.head(ROWS_SHOWN).to_html(index=False, border=0, na_rep="null")
    more = f'<p class="note">the first {ROWS_SHOWN} rows</p>' if len(frame) > ROWS_SHOWN else ""
    return table + more
