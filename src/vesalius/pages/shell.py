"""The frame of a page: one HTML file with its style, scripts, data and charts inside, and nothing to fetch.

Knows sections, the controls that switch between views, and how both meet in the browser (`assets/page.js`). Leaves
what stands in a section to its callers.
"""

import json
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

from vesalius.pages import charts

# Before the first paint, so that a dark page does not flash.
_THEME_FIRST = (
    '{let t=null;try{t=localStorage.getItem("vesalius-theme")}catch{}'
    'document.documentElement.dataset.theme=t??(matchMedia("(prefers-color-scheme: dark)").matches?"dark":"light")}'
)


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        id: anchor, and key of its fragments.
        title: heading; shown in the table of contents by `short` where given.
        lead: HTML of a sentence or two under the heading.
        html: what always stands there.
        views: HTML for each combination of the controls ("dsc|liver"), switched in the browser; `html` is followed by
            the one of the page's first view.
        by: names of the controls whose combinations are the keys of `views`; all where empty.
    """

    id: str
    title: str
    lead: str = ""
    html: str = ""
    views: dict[str, str] = field(default_factory=dict)
    short: str = ""
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Control:
    """A choice: `options` are (value, label); `needs` maps the first control's values to those allowed."""

    name: str
    label: str
    options: list[tuple[str, str]]
    needs: dict[str, list[str]] = field(default_factory=dict)


def page(
    title: str,
    subtitle: str,
    hero: str,
    sections: list[Section],
    controls: list[Control],
    specs: dict[str, dict[str, Any]],
    footer: str = "",
    style: str = "",
    script: str = "",
) -> str:
    """The whole page as HTML.

    Args:
        title, subtitle: plain text.
        hero: HTML above the first section.
        sections: in reading order.
        controls: choices that all sections follow.
        specs: Vega-Lite specifications by name; an element `<div class="chart" data-chart="name">` shows one.
        footer: HTML.
        style, script: CSS and JavaScript of the caller's own, after the page's.
    """
    first = {control.name: control.options[0][0] for control in controls}
    contents = "".join(f'<a href="#{s.id}">{escape(s.short or s.title)}</a>' for s in sections)
    body = "".join(_section(section, first) for section in sections)
    data = {
        "views": {section.id: section.views for section in sections if section.views},
        "by": {section.id: section.by for section in sections if section.by},
        "specs": specs,
        "themes": {"light": charts.theme(charts.LIGHT), "dark": charts.theme(charts.DARK)},
        "needs": {control.name: control.needs for control in controls if control.needs},
    }
    switches = "".join(_control(control) for control in controls)
    bar = f'<form class="controls" aria-label="What to show">{switches}</form>' if controls else ""
    assets = files("vesalius.pages") / "assets"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<script>{_THEME_FIRST}</script>
<style>{(assets / "page.css").read_text("utf-8")}{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header class="top">
<div class="wrap"><p class="brand">Vesalius</p>
<button id="theme" type="button" aria-label="Switch between light and dark">◐</button></div>
</header>
<main id="main" class="wrap">
<h1>{escape(title)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
{hero}
<nav class="contents" aria-label="Contents">{contents}</nav>
{bar}
{body}
</main>
<footer class="wrap">{footer}</footer>
<noscript><p class="wrap">Charts and choices need JavaScript; the figures also lie beside this page.</p></noscript>
{embedded("data", data)}
<script>{charts.javascript() if specs else ""}</script>
<script>{(assets / "page.js").read_text("utf-8")}</script>
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def table(
    columns: list[tuple[str, str]], rows: list[list[tuple[str, Any]]], caption: str, sortable: bool = True
) -> str:
    """An HTML table that scrolls in its own frame.

    Args:
        columns: (heading, kind); kind is "text" or "number".
        rows: cells as (HTML, sort key); the first cell of each row is its heading.
        caption: read aloud and shown above.
        sortable: whether headings are buttons that sort.
    """

    def heading(text: str, kind: str) -> str:
        inner = f'<button type="button">{escape(text)}</button>' if sortable else escape(text)
        return f'<th scope="col" class="{kind}">{inner}</th>'

    def cell(i: int, html: str, key: Any) -> str:
        tag, scope = ("th", ' scope="row"') if i == 0 else ("td", "")
        sort = f' data-sort="{escape(str(key))}"' if sortable and key is not None else ""
        return f'<{tag}{scope} class="{columns[i][1]}"{sort}>{html}</{tag}>'

    head = "".join(heading(*column) for column in columns)
    body = "".join("<tr>" + "".join(cell(i, *c) for i, c in enumerate(row)) + "</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def chart(name: str, alt: str, caption: str = "") -> str:
    """The place of a chart, with what it shows in words."""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    place = f'<div class="chart" data-chart="{escape(name)}" role="img" aria-label="{escape(alt)}"></div>'
    return f"<figure>{place}{below}</figure>"


def embedded(id: str, data: Any) -> str:
    """Data inside the page, which a script finds by its id."""
    return f'<script type="application/json" id="{escape(id)}">{_json(data)}</script>'


def _section(section: Section, first: dict[str, str]) -> str:
    lead = f'<p class="lead">{section.lead}</p>' if section.lead else ""
    key = "|".join(first[name] for name in section.by or first)
    slot = f'<div data-slot="{section.id}">{section.views.get(key, "")}</div>' if section.views else ""
    return (
        f'<section id="{section.id}" aria-labelledby="{section.id}-title"><h2 '
        f'id="{section.id}-title">{escape(section.title)}</h2>'
        f"{lead}{section.html}{slot}</section>"
    )


def _control(control: Control) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(label)}</option>' for value, label in control.options)
    return (
        f'<label><span>{escape(control.label)}</span><select name="{escape(control.name)}">{options}</select></label>'
    )


def _json(data: Any) -> str:
    """JSON that may stand inside a script element: neither `</script` nor `<!--<script`, which would hide the end."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
