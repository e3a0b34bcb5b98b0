"""The report as one HTML file that loads nothing; pure. Every text is escaped here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pipelines.report.assets import SCRIPT, STYLE

# Nothing may be loaded, whatever a chart asks for; Vega compiles its expressions, hence the eval.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Figure:
    """A chart: what it shows, for those who do not see it, and its Vega-Lite specification."""

    alt: str
    spec: dict[str, Any]
    caption: str = ""


@dataclass(frozen=True)
class Cells:
    """A table of texts; columns named in `amounts` are set right, those in `code` as code."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""
    amounts: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A takeaway, what proves it, and where that comes from; or why it is missing."""

    topic: str
    heading: str = ""
    sources: tuple[str, ...] = ()
    note: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Cells, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Fact:
    """One headline figure."""

    name: str
    value: str
    detail: str = ""


def page(
    title: str, lead: str, facts: Sequence[Fact], sections: Sequence[Section], library: str
) -> str:
    """The whole document.

    Args:
        library: JavaScript that defines `vegaEmbed`; it stands in the page once.
    """
    specs: dict[str, Any] = {}
    bodies = "\n".join(_section(section, specs) for section in sections)
    scripts = (
        f'<script type="application/json" id="charts">{_json(specs)}</script>\n'
        f"<script>{_script(library)}</script>\n<script>{SCRIPT}</script>"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(lead)}</p>
{_strip(facts)}
</header>
<main>
{bodies}
</main>
<footer>Made from the lake's own tables; the charts are drawn by this page alone, without a
network.<noscript> They need JavaScript.</noscript></footer>
{scripts if specs else ""}
</body>
</html>
"""


def _strip(facts: Sequence[Fact]) -> str:
    def item(fact: Fact) -> str:
        detail = f"<small>{escape(fact.detail)}</small>" if fact.detail else ""
        return f"<div><dt>{escape(fact.name)}</dt><dd>{escape(fact.value)}{detail}</dd></div>"

    return f"<dl>{''.join(map(item, facts))}</dl>" if facts else ""


def _section(section: Section, specs: dict[str, Any]) -> str:
    topic = f'<p class="topic">{escape(section.topic)}</p>'
    if section.missing:
        heading = f"<h2>{escape(section.heading or 'Nothing to show yet')}</h2>"
        missing = f'<p class="missing">{escape(section.missing)}</p>'
        return f"<section>\n{topic}\n{heading}\n{missing}\n</section>"
    figures = "\n".join(_figure(figure, specs) for figure in section.figures)
    if len(section.figures) > 2:
        figures = f'<div class="many">{figures}</div>'
    tables = "\n".join(map(_table, section.tables))
    if tables:
        pair = " pair" if len(section.tables) == 2 else ""
        tables = f'<div class="tables{pair}">{tables}</div>'
    sources = ", ".join(f"<code>{escape(source)}</code>" for source in section.sources)
    note = f" {escape(section.note)}" if section.note else ""
    below = f'<p class="source">From {sources}.{note}</p>' if sources else ""
    heading = f"<h2>{escape(section.heading)}</h2>"
    return f"<section>\n{topic}\n{heading}\n{figures}{tables}\n{below}\n</section>"


def _figure(figure: Figure, specs: dict[str, Any]) -> str:
    name = f"chart-{len(specs) + 1}"
    specs[name] = figure.spec
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    place = f'<div class="chart" id="{name}" role="img" aria-label="{escape(figure.alt)}"></div>'
    return f"<figure>{caption}{place}</figure>"


def _table(cells: Cells) -> str:
    def style(column: str) -> str:
        return ' class="amount"' if column in cells.amounts else ""

    def cell(column: str, text: str) -> str:
        inner = f"<code>{escape(text)}</code>" if column in cells.code else escape(text)
        return f"<td{style(column)}>{inner}</td>"

    head = "".join(f'<th scope="col"{style(c)}>{escape(c)}</th>' for c in cells.columns)
    body = "\n".join(
        f"<tr>{''.join(cell(c, text) for c, text in zip(cells.columns, row, strict=True))}</tr>"
        for row in cells.rows
    )
    caption = f"<h3>{escape(cells.caption)}</h3>" if cells.caption else ""
    return (
        f'<div>{caption}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div></div>"
    )


def _json(specs: dict[str, Any]) -> str:
    """JSON that cannot end the script element around it."""
    text = json.dumps(specs, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")
