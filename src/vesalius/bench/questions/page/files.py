"""A report of questions on disk: tables, figures, the browser's files, and the page last.

Knows the order in which files appear: the page is taken away first and written last, so that a report that was
interrupted has none. Leaves tables to `questions.files`, and an earlier report to `bench/report/folder`.
"""

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl

from vesalius.bench.questions.files import origin, write_tables
from vesalius.bench.questions.page.browser import write_browser
from vesalius.bench.questions.page.document import Part, document, draw
from vesalius.bench.questions.page.facts import gather
from vesalius.bench.questions.page.hints import published_order
from vesalius.bench.questions.page.verdict import Verdict, verdict
from vesalius.bench.questions.runs import Judged
from vesalius.bench.report.folder import PAGE, clear, writable
from vesalius.pages.charts import save_all
from vesalius.run import replacing
from vesalius.taxonomy import ROOT

_MOST_FIGURES = 200  # a tenth of a second each


def write(
    judged: Judged,
    frames: dict[str, pl.DataFrame],
    out: str | Path,
    title: str,
    figures: bool = True,
    tell: Callable[[str], None] = lambda step: None,
) -> dict[str, Verdict]:
    """Writes everything into `out` (made where it is not there); an earlier report there gives way as a whole.

    Args:
        judged: the runs.
        frames: of `files.compute`.
        out: the folder.
        title: of the page.
        figures: whether the charts are saved as files, too.
        tell: is told what is being done.

    Returns:
        The verdict on each benchmark.
    """
    out = Path(out)
    with writable(out):
        clear(out, keep="browser/media")
        tell("tables")
        write_tables(judged, frames, out)
        parts = []
        for name in judged.benchmarks:
            if name in set(judged.rows["benchmark"]):
                facts = gather(judged, frames, name)
                parts.append(Part(facts, verdict(facts, published_order(judged, name)), draw(facts)))
        index = write_browser(judged, [part.facts for part in parts], out, tell)
        if figures:
            tell("figures")
            _save(parts, out / "figures")
        tell("page")
        made = origin(judged)["provenance"]
        with replacing(out / PAGE) as temporary:
            temporary.write_bytes(document(judged, parts, index, made, title).encode("utf-8", "replace"))
    return {part.facts.name: part.said for part in parts}


def _save(parts: list[Part], folder: Path) -> None:
    """The charts of whole benchmarks; those of single nodes are on the page."""
    chosen = {
        key: drawn
        for part in parts
        for key, drawn in part.charts.items()
        if not key.startswith(("leaderboard|", "icicle|")) or key.endswith(f"|{ROOT}")
    }
    folder.mkdir(exist_ok=True)
    named: dict[Path, tuple[str, dict]] = {}
    for key, drawn in list(chosen.items())[:_MOST_FIGURES]:
        stem = re.sub(r"[^\w.+-]+", "_", key.replace("|", "_"))[:150]
        while folder / stem in named:
            stem += "_"
        named[folder / stem] = drawn
    save_all(named)
