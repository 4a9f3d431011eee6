"""Two runs side by side: was the same asked, which answers changed, and is the change more than chance.

Knows that a difference of scores may come from another file, prompt, model or setting, and says which before it says
how much.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.questions.runs import Judged, judge_runs
from vesalius.bench.questions.tables import scored
from vesalius.bench.stats.proportions import paired
from vesalius.errors import VesaliusError


def compare(before: str | Path, after: str | Path) -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """What is different, a benchmark and model that both runs have at a time.

    Returns:
        (rows, changed): a row has `benchmark, model, said` (a sentence), `asked_otherwise` (what else differs), and the
        fields of `stats.proportions.paired` with after as the first; `changed` lists each question whose choice,
        correctness or status differs: `benchmark, model, case, choice_before, choice_after, correct_before, …`.

    Raises:
        VesaliusError: the runs share no benchmark and model.
    """
    old, new = judge_runs([Path(before)]), judge_runs([Path(after)])
    rows, changed = [], []
    for name in old.benchmarks:
        for model in old.models(name) if name in new.benchmarks else ():
            if model in new.models(name):
                row, frame = _one(old, new, name, model)
                rows.append(row)
                changed.append(frame)
    if not rows:
        remedy = "name models alike with NAME=URL"
        raise VesaliusError(f"shares no benchmark and model with {before}", file=after, remedy=remedy, code="runs")
    return rows, pl.concat(changed)


def _one(old: Judged, new: Judged, name: str, model: str) -> tuple[dict[str, Any], pl.DataFrame]:
    first = scored(old, name).filter(pl.col("model") == model)
    second = scored(new, name).filter(pl.col("model") == model)
    both = first.join(second, on="case", suffix="_after").join(
        new.benchmarks[name].cases.select("id", "cluster"), left_on="case", right_on="id"
    )
    judged = both.drop_nulls(["correct", "correct_after"])
    clusters = np.unique(judged["cluster"].to_numpy(), return_inverse=True)[1]
    found = paired(judged["correct_after"].to_numpy(), judged["correct"].to_numpy(), clusters) if judged.height else {}
    differs = pl.any_horizontal(pl.col(c).ne_missing(pl.col(f"{c}_after")) for c in ("choice", "correct", "status"))
    columns: list[Any] = [pl.lit(name).alias("benchmark"), pl.lit(model).alias("model"), "case"]
    pairs = [(pl.col(c).alias(f"{c}_before"), pl.col(f"{c}_after")) for c in ("choice", "correct", "status")]
    changed = both.filter(differs).select(*columns, *(column for pair in pairs for column in pair))
    known = {key: value if value == value else None for key, value in found.items()}  # JSON has no NaN
    row = {"benchmark": name, "model": model, **known, "shared": both.height, "changed": changed.height,
           "asked_otherwise": _otherwise(old, new, name, model)}  # fmt: skip
    return row | {"said": _sentence(row, first.height, second.height)}, changed


def _sentence(row: dict[str, Any], n_old: int, n_new: int) -> str:
    said = f"{row['shared']:,} questions in both"
    if (n_old, n_new) != (row["shared"],) * 2:
        said += f" (of {n_old:,} and {n_new:,})"
    said += f"; {row['changed']:,} results differ"
    if row["changed"] and "difference" in row:
        said += (
            f": {row['only_first']:,} better, {row['only_second']:,} worse, {100 * row['difference']:+.1f} points "
            f"(95 %: {100 * row['ci_low']:+.1f} to {100 * row['ci_high']:+.1f}, p = {row['p']:.2g})"
        )
    return said


def _otherwise(old: Judged, new: Judged, name: str, model: str) -> list[str]:
    """What was asked otherwise, in words."""
    lines = []
    a, b = old.benchmarks[name], new.benchmarks[name]
    if a.entry["sha256"] != b.entry["sha256"]:
        lines.append("the file of questions is another")
    before, after = a.models[model], b.models[model]
    for what in ("identity", "settings"):
        for key in sorted({*before[what], *after[what]}):
            if before[what].get(key) != after[what].get(key):
                lines.append(f"{key}: {_short(before[what].get(key))} → {_short(after[what].get(key))}")
    was, now = before["provenance"]["versions"], after["provenance"]["versions"]
    lines += [f"{k} {was.get(k)} → {now.get(k)}" for k in sorted({*was, *now}) if was.get(k) != now.get(k)]
    return lines


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
