"""A report on disk: CSVs, `report.json`, figures as SVG and PNG, and the page.

Knows the names of the files. Leaves what stands in them to its neighbours, and an earlier report to `folder`. Every
file appears whole or not at all.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vesalius.bench.report.analysis import Analysis
from vesalius.bench.report.document import document
from vesalius.bench.report.folder import clear, writable
from vesalius.bench.report.forgetting import Comparison, answers, headline
from vesalius.bench.report.verdict import Verdict, verdict
from vesalius.bench.report.worst import Pictures, worst_cases
from vesalius.pages.charts import save_all
from vesalius.run import file_hash, provenance, replacing

_CSV = {
    "summary": "summary", "pairwise": "pairwise", "ranking": "ranking", "groups": "groups",
    "group_means": "group_means",
    "gap": "gap", "stability": "stability", "rules": "rule_ranks", "agreement": "rule_agreement",
    "forgetting": "forgetting", "forgetting_seeds": "forgetting_seeds",
}  # fmt: skip

_MOST_FIGURES = 400  # a tenth of a second each


def write(
    analysis: Analysis,
    out: str | Path,
    title: str = "Which model holds up?",
    pictures: Pictures | None = None,
    figures: bool = True,
    progress: Callable[[str], None] = lambda step: None,
) -> Verdict:
    """Write everything into `out` (made where it is not there).

    Args:
        analysis: of `analyse`.
        out: the folder.
        title: of the page.
        pictures: where masks and images lie, for the worst cases.
        figures: whether the charts are saved as files, too.
        progress: is told what is being done.

    Returns:
        what the page says first.
    """
    out = Path(out)
    with writable(out):
        clear(out)
        return _write(analysis, out, title, pictures, figures, progress)


def _write(
    analysis: Analysis,
    out: Path,
    title: str,
    pictures: Pictures | None,
    figures: bool,
    progress: Callable[[str], None],
) -> Verdict:
    from vesalius.bench.report.figures import draw
    from vesalius.bench.report.forgetting import section

    progress("tables")
    for name, file in _CSV.items():
        if name in analysis.frames:
            with replacing(out / f"{file}.csv") as part:
                analysis.frames[name].write_csv(part)
    said = verdict(analysis)
    notes: list[str] = []
    shown, lost = worst_cases(analysis, said.metric, pictures) if pictures else ([], [])
    progress("figures")
    firsts = tuple(f"_{metric}_{analysis.targets(metric)[0]}" for metric in analysis.cubes)
    drawn = {
        f"{kind}_{metric}_{target}": chart
        for metric in analysis.cubes
        for target in analysis.targets(metric)
        for kind, chart in draw(analysis, metric, target).items()
    }
    of_study = section.draw(analysis.comparison) if analysis.comparison else {}
    drawn |= of_study
    if figures:
        (out / "figures").mkdir(exist_ok=True)
        chosen = drawn
        if len(drawn) > _MOST_FIGURES:
            chosen = {name: drawn[name] for name in drawn if name.endswith(firsts) or name in of_study}
            notes.append(
                f"figures/ holds {len(chosen)} of {len(drawn)} charts; those of single structures are on the page"
            )
        save_all({out / "figures" / _file_name(name): figure for name, figure in chosen.items()})
    progress("page")
    origin = _origin(analysis)
    _json(out / "report.json", machine(analysis, said, [*analysis.notes, *notes, *lost], origin))
    analysis = replace(analysis, notes=(*analysis.notes, *notes))
    html = document(analysis, said, {name: spec for name, (_, spec) in drawn.items()}, shown, lost, origin, title)
    with replacing(out / "report.html") as part:
        part.write_text(html, "utf-8")
    return said


def machine(analysis: Analysis, said: Verdict, notes: list[str], origin: dict[str, Any]) -> dict[str, Any]:
    """The same numbers for a program: what `report.json` holds."""
    comparison = analysis.comparison
    study = {"forgetting": forgetting(comparison)} if comparison else {}
    return {
        "verdict": {
            "metric": said.metric,
            "target": said.target,
            "leader": said.leader,
            "headline": said.headline,
            "points": said.points,
        },
        **study,
        "models": analysis.models,
        "cases": len(analysis.cases),
        "targets": {metric: analysis.targets(metric) for metric in analysis.cubes},
        "tables": {file: analysis.frames[name].to_dicts() for name, file in _CSV.items() if name in analysis.frames},
        "flags": analysis.flags.to_dicts(),
        "notes": notes,
        "rules": analysis.rules,
        "provenance": origin,
    }


def forgetting(comparison: Comparison) -> dict[str, Any]:
    """A study's answers for a program; its tables are among the report's."""
    return {
        "headline": headline(comparison),
        "metric": comparison.study.metric,
        "margin": comparison.study.margin,
        "seeds": comparison.seeds,
        "answers": [
            {
                "question": one.question.key, "text": one.question.text, "side": one.side, "answer": one.word,
                "verdict": one.outcome, "said": f"{one.said}: {one.value} ({one.interval}); {one.reason}",
            }
            for one in answers(comparison)
        ],
    }  # fmt: skip


def _origin(analysis: Analysis) -> dict[str, Any]:
    settings = analysis.settings
    asked = {name: str(value) for name, value in vars(settings).items() if value not in (None, ())}
    inputs = [vars(source) for source in analysis.tables.sources]
    if settings.metadata:
        inputs.append({"path": str(settings.metadata), "layout": "metadata", "sha256": file_hash(settings.metadata)})
    if settings.forgetting:
        found = {"path": str(settings.forgetting), "layout": "study", "sha256": file_hash(settings.forgetting)}
        inputs.append(found)
    return provenance(["scipy", "altair", "vl-convert-python"]) | {"settings": asked, "inputs": inputs}


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name)


def _json(path: Path, data: Any) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False), "utf-8")
