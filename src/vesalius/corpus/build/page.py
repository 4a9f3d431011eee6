"""The report of a corpus: its funnel, why documents and images are gone, what is in it, and some documents to read.

Knows a corpus that is written (manifest and shards); leaves the frame of a page to `pages/`.
"""

import json
import random
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vesalius.corpus.build.tables import from_table
from vesalius.corpus.document import Document, Heading, Image
from vesalius.pages import charts, shell
from vesalius.run import replacing

_SHOWN, _PARAGRAPHS = 12, 14  # documents, and parts of each
_ROWS = 12  # of a table of what is in it
_SPREADS = (("lengths", "words in a document, at least"), ("pictured", "images in a document, at least"))
_STYLE = """
.documents{display:grid;gap:1rem}.documents details{border:1px solid var(--line);border-radius:6px;padding:.6rem .9rem}
.documents summary{cursor:pointer;font-weight:600}.documents p{margin:.4rem 0}.at{color:var(--muted);
font-size:.85rem;overflow-wrap:anywhere}.documents .image{font-style:italic;color:var(--muted)}
.tables{display:grid;gap:0 2rem;grid-template-columns:repeat(auto-fit,minmax(min(28rem,100%),1fr));align-items:start}
.tables td:first-child{overflow-wrap:anywhere}
"""


def write_report(corpus: str | Path, *, seed: int = 0) -> Path:
    """Writes `report/report.html` and the funnel as SVG and PNG beside it; returns its path.

    Args:
        corpus: its folder.
        seed: of which documents are shown.
    """
    folder = Path(corpus)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    rows = funnel(manifest["stages"])
    spec = charts.fill(_design(len(rows)), {"rows": rows}, {"order": list(dict.fromkeys(r["stage"] for r in rows))})
    totals, contents = manifest["totals"], manifest["contents"]
    specs = {"funnel": spec}
    if contents:
        specs |= {name: charts.fill(_bars(title), {"rows": _spread(contents[name])}, {}) for name, title in _SPREADS}
    sections = [
        shell.Section("funnel", "From records to documents", "What each stage kept, and what it dropped.",
                      '<div class="chart" data-chart="funnel"></div>' + _stages(manifest["stages"]), short="Funnel"),
        shell.Section("why", "Why others are gone", "Every one of them is a row of <code>dropped.parquet</code>.",
                      _reasons(manifest["stages"], "reasons", "documents"), short="Dropped"),
        shell.Section("edits", "What was done to those that stayed", "Paragraphs by rule, identifiers by kind, images "
                      "by reason; of reading, records that are no pages.",
                      _reasons(manifest["stages"], "edits", "times"), short="Edits"),
        shell.Section("contents", "What is in it", f"The {_ROWS} largest of each.", _contents(contents)),
        shell.Section("read", "Some documents", f"{_SHOWN} drawn by chance, their first parts.",
                      _documents(folder, manifest, seed)),
        shell.Section("shards", "Shards", html=_shards(manifest)),
    ]  # fmt: skip
    named = (name for name in ("documents", "words", "tokens", "images") if name in totals)
    counts = ", ".join(f"<b>{totals[name]:,}</b> {name}" for name in named)
    hero = f"<p>{counts} in {len(manifest['shards']):,} shards.</p>"
    if manifest["problems"]:
        items = "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in manifest["problems"].items())
        hero += f"<p>Not read to their end:</p><ul>{items}</ul>"
    made = manifest["provenance"]
    footer = escape(f"{made['command']} · {made['time']} · vesalius {made['versions']['vesalius']}")
    text = shell.page(f"Corpus {folder.resolve().name}", "How it was made", hero, sections, [], specs, footer, _STYLE)
    path = folder / "report" / "report.html"
    with replacing(path) as part:
        part.write_text(text, "utf-8")
    charts.save(spec, path.with_name("funnel"), "Documents after each stage")
    return path


def funnel(stages: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the picture: `stage`, `what` (kept, dropped), `documents`, for stages that documents pass."""
    rows = []
    for name, stage in stages.items():
        gone = sum(stage["reasons"].values())
        if stage["documents"] or gone:
            rows.append({"stage": name, "what": "kept", "documents": stage["documents"]})
            rows.append({"stage": name, "what": "dropped", "documents": gone})
    return rows


def _design(rows: int) -> str:
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData("rows"), width="container", height=max(120, 13 * rows))
        .mark_bar()
        .encode(
            y=alt.Y("stage:N", sort=["@order"], title=None),
            x=alt.X("documents:Q", title="documents", stack="zero"),
            color=alt.Color("what:N", title=None, sort=["kept", "dropped"]),
            order=alt.Order("what:N", sort="descending"),
            tooltip=["stage:N", "what:N", "documents:Q"],
        )
    )
    return charts.design(chart)


def _bars(title: str) -> str:
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData("rows"), width="container", height=150)
        .mark_bar(style="accent")
        .encode(
            x=alt.X("least:N", sort=None, title=title),
            y=alt.Y("documents:Q", title="documents"),
            tooltip=["least:N", "documents:Q"],
        )
    )
    return charts.design(chart)


def _spread(rows: list[dict[str, int]]) -> list[dict[str, Any]]:
    """Rows of `contents_of`, none left out between the first and the last, the thousands of each shortened."""
    counts = {row["least"]: row["documents"] for row in rows}
    least, found = min(counts), []
    while least <= max(counts):
        name = f"{least // 1024}k" if least >= 1024 else str(least)
        found.append({"least": name, "documents": counts.get(least, 0)})
        least = max(1, 2 * least)
    return found


def _contents(contents: dict[str, Any]) -> str:
    if not contents:
        return "<p>Nothing.</p>"
    pictures = "".join(f'<div class="chart" data-chart="{name}"></div>' for name, _ in _SPREADS)
    tables = "".join(_largest(name, contents[name]) for name in ("site", "licence", "year", "language"))
    return f'<div class="tables">{pictures}</div><div class="tables">{tables}</div>'


def _largest(name: str, rows: list[dict[str, Any]]) -> str:
    numbers = tuple(what for what in ("documents", "words", "images", "dropped") if what in rows[0])
    lines = []
    for row in rows[:_ROWS]:
        cells = "".join(f'<td class="number">{row[what]:,}</td>' for what in numbers)
        lines.append(f"<tr><td>{escape(row[name]) or '<i>not known</i>'}</td>{cells}</tr>")
    more = f'<p class="at">and {len(rows) - _ROWS} more in manifest.json</p>' if len(rows) > _ROWS else ""
    table = f"<table><thead>{_head((name,), numbers)}</thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div><div class="scroll">{table}</div>{more}</div>'


def _head(words: tuple[str, ...], numbers: tuple[str, ...]) -> str:
    cells = [f"<th>{word}</th>" for word in words] + [f'<th class="number">{word}</th>' for word in numbers]
    return f"<tr>{''.join(cells)}</tr>"


def _stages(stages: dict[str, Any]) -> str:
    head = _head(("stage",), ("documents", "words", "images", "dropped", "seconds"))
    rows = []
    for name, stage in stages.items():
        gone = sum(stage["reasons"].values())
        numbers = [f"{stage[what]:,}" if stage["documents"] else "" for what in ("documents", "words", "images")]
        numbers += [f"{gone:,}" if gone else "", f"{stage['seconds']:,.1f}" if stage["seconds"] else ""]
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _reasons(stages: dict[str, Any], what: str, unit: str) -> str:
    rows = []
    for name, stage in stages.items():
        for reason, number in sorted(stage[what].items(), key=lambda item: (-item[1], item[0])):
            if number:
                rows.append(
                    f'<tr><th>{escape(name)}</th><td>{escape(reason)}</td><td class="number">{number:,}</td></tr>'
                )
    if not rows:
        return "<p>None.</p>"
    head = _head(("stage", "reason"), (unit,))
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _documents(folder: Path, manifest: dict[str, Any], seed: int) -> str:
    """Drawn from all, by number; only the row groups that hold one are read."""
    total = manifest["totals"]["documents"]
    numbers = sorted(random.Random(seed).sample(range(total), min(_SHOWN, total)))
    shown, first = [], 0
    for shard in manifest["shards"]:
        here = [number - first for number in numbers if first <= number < first + shard["documents"]]
        first += shard["documents"]
        if here:
            shown += [_document(document) for document in _rows(folder / shard["file"], here)]
    return f'<div class="documents">{"".join(shown)}</div>' if shown else "<p>None.</p>"


def _rows(path: Path, numbers: list[int]) -> Iterator[Document]:
    """Documents of a shard by their numbers, a row group at a time."""
    first = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            here = [number - first for number in numbers if first <= number < first + rows]
            first += rows
            if here:
                yield from from_table(file.read_row_group(group).take(here))


def _document(document: Document) -> str:
    parts = []
    for part in document.parts[:_PARAGRAPHS]:
        if isinstance(part, Image):
            parts.append(f'<p class="image">▣ {escape(part.alt or part.url)}</p>')
        elif isinstance(part, Heading):
            parts.append(f"<h4>{escape(part)}</h4>")
        else:
            parts.append(f"<p>{escape(part[:600])}{'…' if len(part) > 600 else ''}</p>")
    rest = len(document.parts) - _PARAGRAPHS
    more = f'<p class="at">and {rest} more</p>' if rest > 0 else ""
    title = escape(str(document.facts.get("title") or document.id))
    return (
        f'<details><summary>{title}</summary><p class="at">{escape(document.id)} · {document.facts.get("words", 0):,} '
        f"words, {len(document.images)} images</p>{''.join(parts)}{more}</details>"
    )


def _shards(manifest: dict[str, Any]) -> str:
    head = _head(("file",), ("documents", "words", "images", "MB"))
    rows = []
    for shard in manifest["shards"][:200]:
        numbers = [f"{shard[what]:,}" for what in ("documents", "words", "images")] + [f"{shard['bytes'] / 1e6:.2f}"]
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        rows.append(f"<tr><th>{escape(shard['file'])}</th>{cells}</tr>")
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
