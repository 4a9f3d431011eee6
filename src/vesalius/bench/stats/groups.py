"""For whom it fails: scores by sex, age, scanner or any other column of the metadata.

Set of cases: each model's own, those whose factor is known. A Kruskal–Wallis test is the gate; behind it pairwise
Mann–Whitney U tests, adjusted by Benjamini and Hochberg within metric × model × target × factor.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from vesalius.bench.stats.pairwise import ALPHA, benjamini_hochberg
from vesalius.bench.stats.table import Cube, nanmean
from vesalius.errors import VesaliusError
from vesalius.select import snake_case

MIN_GROUP = 10
AVERAGE_MODEL = "average algorithm"

_SCHEMA = {
    "metric": pl.String, "model": pl.String, "target": pl.String, "factor": pl.String, "test": pl.String,
    "group_a": pl.String, "group_b": pl.String, "n_a": pl.Int64, "n_b": pl.Int64, "statistic": pl.Float64,
    "p": pl.Float64, "p_adjusted": pl.Float64, "significant": pl.Boolean, "effect": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Factor:
    """One way to group cases: `name`, `levels` in reading order, and each case's index into them (−1: not known)."""

    name: str
    levels: tuple[str, ...]
    codes: np.ndarray

    @property
    def unknown(self) -> int:
        """Cases whose value is not known; they are left out."""
        return int((self.codes < 0).sum())


def factors(spec: str, metadata: pl.DataFrame) -> list[Factor]:
    """The factors that `spec` names.

    Args:
        spec: column names with commas between; `age:10` bins a number into intervals that wide.
        metadata: one row a case, in the order of the cube's cases.

    Raises:
        VesaliusError: an unknown column, a bin width that is no positive number, or bins of text.
    """
    return [_factor(part.strip(), metadata) for part in spec.split(",") if part.strip()]


def _factor(part: str, metadata: pl.DataFrame) -> Factor:
    name, _, width = part.partition(":")
    name = snake_case(name)
    if name not in metadata.columns[1:]:
        known = ", ".join(metadata.columns[1:]) or "none: give --metadata CSV"
        raise VesaliusError(f"--groups names the unknown column {name}", remedy=f"columns are: {known}", code="columns")
    cells = metadata[name]
    if not width:
        if cells.dtype.is_numeric():
            levels = [f"{value:g}" for value in cells.drop_nulls().unique().sort()]
            cells = pl.Series([None if value is None else f"{value:g}" for value in cells], dtype=pl.String)
        else:
            cells = cells.cast(pl.String)
            levels = sorted(cells.drop_nulls().unique().to_list())
        index = {level: i for i, level in enumerate(levels)}
        return Factor(name, tuple(levels), np.array([index.get(cell, -1) for cell in cells], dtype=int))
    try:
        step = float(width)
    except ValueError:
        step = 0.0
    if not step > 0:
        raise VesaliusError(
            f"--groups {part}: «{width}» is no bin width", remedy=f"write it like {name}:10", code="groups"
        )
    if not cells.dtype.is_numeric():
        problem, remedy = "mixes ways to write numbers", "write all with a decimal point and no leading zeros"
        text = next((c for c in cells.drop_nulls() if not _is_number(c)), None)
        if text is not None:
            problem, remedy = f"is not all numbers («{text}»)", f"write it as empty, or --groups {name} without bins"
        raise VesaliusError(f"--groups {part}: the column {name} {problem}", remedy=remedy, code="groups")
    bins = [None if value is None else int(np.floor(value / step)) for value in cells]
    found = sorted({b for b in bins if b is not None})
    levels = [
        f"{b * step:g}–{(b + 1) * step - 1:g}"
        if step >= 2 and step == int(step)
        else f"{b * step:g} to <{(b + 1) * step:g}"
        for b in found
    ]
    index_of = {b: i for i, b in enumerate(found)}
    return Factor(name, tuple(levels), np.array([-1 if b is None else index_of[b] for b in bins], dtype=int))


def _is_number(cell: object) -> bool:
    """Whether it reads as a number, with a decimal point or comma."""
    try:
        float(str(cell).replace(",", ".", 1))
    except ValueError:
        return False
    return True


def groups(cube: Cube, factor: Factor, alpha: float = ALPHA, min_group: int = MIN_GROUP) -> pl.DataFrame:
    """Tests of one factor, for each model and for the average algorithm (mean over models, case by case).

    Returns:
        `metric, model, target, factor, test, group_a, group_b, n_a, n_b, statistic, p, p_adjusted, significant,
        effect`. A `kruskal_wallis` row has the number of cases in `n_a` and no group; its statistic is H, its effect
        ε² = H / (n − 1). The `mann_whitney` rows (two-sided) follow only where its p ≤ α; their statistic is U of
        group a, their effect Cliff's δ (positive: group a has the larger values, as in the Scores).
    """
    from scipy.stats import kruskal, mannwhitneyu

    rows: list[dict] = []
    for model, values in _models(cube):
        for t, target in enumerate(cube.targets):
            samples = _samples(values[:, t], factor, min_group)
            if len(samples) < 2:
                continue
            key = {"metric": cube.metric.name, "model": model, "target": target, "factor": factor.name}
            n = sum(len(sample) for sample in samples.values())
            if np.ptp(np.concatenate(list(samples.values()))) == 0:
                h, p = 0.0, 1.0  # scipy refuses: all values are the same
            else:
                h, p = map(float, kruskal(*samples.values()))
            rows.append(
                key
                | {
                    "test": "kruskal_wallis",
                    "n_a": n,
                    "statistic": h,
                    "p": p,
                    "significant": p <= alpha,
                    "effect": h / (n - 1),
                }
            )
            if p > alpha:
                continue
            pairs = list(combinations(samples, 2))
            tests = [mannwhitneyu(samples[a], samples[b]) for a, b in pairs]
            adjusted = benjamini_hochberg(np.array([test.pvalue for test in tests]))
            for (a, b), test, q in zip(pairs, tests, adjusted, strict=True):
                n_a, n_b = len(samples[a]), len(samples[b])
                rows.append(
                    key
                    | {"test": "mann_whitney", "group_a": a, "group_b": b, "n_a": n_a, "n_b": n_b}
                    | {"statistic": float(test.statistic), "p": float(test.pvalue), "p_adjusted": float(q)}
                    | {"significant": bool(q <= alpha), "effect": 2 * float(test.statistic) / (n_a * n_b) - 1}
                )
    return pl.DataFrame(rows, schema=_SCHEMA)


def group_means(cube: Cube, factor: Factor, min_group: int = MIN_GROUP) -> pl.DataFrame:
    """Means of the groups that are large enough, and which is the worst.

    Returns:
        `metric, model, target, factor, group, n, mean, median, worst`; `worst` marks the group of lowest mean quality
        where there are at least two.
    """
    rows: list[dict] = []
    for (model, values), (_, quality) in zip(_models(cube), _models(cube, quality=True), strict=True):
        for t, target in enumerate(cube.targets):
            samples = _samples(values[:, t], factor, min_group)
            levels = {level: _samples(quality[:, t], factor, min_group)[level].mean() for level in samples}
            worst = min(levels, key=lambda level: levels[level]) if len(levels) > 1 else None
            key = {"metric": cube.metric.name, "model": model, "target": target, "factor": factor.name}
            rows += [
                key
                | {"group": g, "n": len(s), "mean": float(s.mean()), "median": float(np.median(s)), "worst": g == worst}
                for g, s in samples.items()
            ]
    schema = {name: _SCHEMA[name] for name in ("metric", "model", "target", "factor")} | {
        "group": pl.String, "n": pl.Int64, "mean": pl.Float64, "median": pl.Float64, "worst": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def _models(cube: Cube, quality: bool = False) -> list[tuple[str, np.ndarray]]:
    """Each model's cases × targets, then the average algorithm's."""
    array = cube.quality if quality else cube.values
    return [*zip(cube.models, array, strict=True), (AVERAGE_MODEL, nanmean(array, axis=0))]


def _samples(values: np.ndarray, factor: Factor, min_group: int) -> dict[str, np.ndarray]:
    present = ~np.isnan(values)
    found = {level: values[present & (factor.codes == i)] for i, level in enumerate(factor.levels)}
    return {level: sample for level, sample in found.items() if len(sample) >= min_group}
