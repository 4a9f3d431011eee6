"""Which numbers count: Scores as one dense array a metric, missing predictions treated by a stated rule.

Knows the Score table and the rule for what is missing. Leaves every statistic to its neighbours.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from vesalius.bench.metrics import Metric, metric
from vesalius.errors import VesaliusError
from vesalius.records import STATUSES

AVERAGE = "average"

# Codes in `Cube.status` beside the indices into STATUSES.
NO_ROW = -1  # the model has no row for this case and target
BLANK = -2  # an empty cell of a wide table: the structure is absent from the reference

Missing = Literal["ignore", "worst"]


@dataclass(frozen=True, eq=False)
class Cube:
    """Scores of one metric.

    Attributes:
        metric: which.
        models, cases, targets: the axes; the last target is `average`, a case's mean over the targets it has.
        values: float64 models × cases × targets, as in the Scores; NaN where nothing counts.
        quality: the same shape, turned so that larger is better; the average of a signed metric is formed of sizes.
        status: int8 models × cases × (targets without average): index into `records.STATUSES`, `NO_ROW` or `BLANK`.
        lacking: bool, the shape of `values`: some model has a row for this case and target, this one has none.
        missing: the rule in force, "ignore" or "worst".
        filled: how many absent or failed values the rule "worst" replaced.
    """

    metric: Metric
    models: tuple[str, ...]
    cases: tuple[str, ...]
    targets: tuple[str, ...]
    values: np.ndarray
    quality: np.ndarray
    status: np.ndarray
    lacking: np.ndarray
    missing: Missing
    filled: int

    def count(self, status: str) -> np.ndarray:
        """Rows with that status, models × targets; `average` counts structures of all targets, or cases that failed."""
        found = self.status == STATUSES.index(status)
        whole = found.any(axis=2) if status == "failed" else found.sum(axis=2)
        return np.concatenate([found.sum(axis=1), whole.sum(axis=1, keepdims=True)], axis=1)

    def shared(self, target: int) -> np.ndarray:
        """Cases (bool) in which every model that has this target at all has a value for it."""
        present = ~np.isnan(self.values[:, :, target])
        takes_part = present.any(axis=1)
        return present[takes_part].all(axis=0) if takes_part.any() else np.zeros(len(self.cases), dtype=bool)


def cubes(scores: pl.DataFrame, missing: Missing = "ignore", metrics: list[str] | None = None) -> dict[str, Cube]:
    """Scores as arrays, a metric at a time; all cubes share the axes of models and cases.

    Args:
        scores: rows in `records.SCORE_SCHEMA`; a null status beside a value is `ok`, beside none a structure that is
            absent from the reference.
        missing: "ignore" leaves out failed rows and leaves absent ones absent. "worst" gives failed, missed and absent
            rows the metric's worst value wherever another row shows that the structure is there; a distance without a
            fixed worst takes the largest value seen for that target.
        metrics: which, in this order; by default all, in order of appearance.

    Raises:
        VesaliusError: a metric asked for is not in the table.
    """
    found = scores["metric"].unique(maintain_order=True).to_list()
    absent = [name for name in metrics or () if name not in found]
    if absent:
        raise VesaliusError(
            f"no score has the metric {', '.join(absent)}", remedy=f"metrics are: {', '.join(found)}", code="metric"
        )
    models = sorted(scores["model"].unique().to_list())
    cases = sorted(scores["case"].unique().to_list())
    return {
        name: _cube(scores.filter(pl.col("metric") == name), metric(name), models, cases, missing)
        for name in metrics or found
    }


def _cube(rows: pl.DataFrame, which: Metric, models: list[str], cases: list[str], missing: Missing) -> Cube:
    targets = rows["target"].unique(maintain_order=True).to_list()
    where = tuple(
        rows[column].replace_strict(names, list(range(len(names))), return_dtype=pl.Int64).to_numpy()
        for column, names in (("model", models), ("case", cases), ("target", targets))
    )
    shape = (len(models), len(cases), len(targets))
    values = np.full(shape, np.nan)
    values[where] = rows["value"].to_numpy()
    code = pl.when(pl.col("value").is_null()).then(BLANK).otherwise(STATUSES.index("ok"))
    for i, word in enumerate(STATUSES):
        code = pl.when(pl.col("status") == word).then(i).otherwise(code)
    status = np.full(shape, NO_ROW, dtype=np.int8)
    status[where] = rows.select(code.cast(pl.Int8)).to_series().to_numpy()

    # A reference that nobody can read judges nobody.
    values[status == STATUSES.index("unscorable")] = np.nan
    failed = status == STATUSES.index("failed")
    has_row = status != NO_ROW
    lacking = ~has_row & has_row.any(axis=0)
    filled = 0
    if missing == "ignore":
        values[failed] = np.nan
    else:
        # Statuses tell whether a structure is there, values do not: a hallucination has a volume difference too.
        blank = np.isnan(values)
        seen = np.isin(status, [STATUSES.index("ok"), STATUSES.index("missed")]) | (failed & ~blank)
        there = seen.any(axis=0)
        told = (has_row & ~failed).any(axis=0)
        unknown = there | (blank.all(axis=2, keepdims=True) & ~told)
        missed = status == STATUSES.index("missed")
        unanswered = (lacking & there) | (failed & blank & unknown) | (missed & blank)
        for t in range(len(targets)):
            values[:, :, t][unanswered[:, :, t]] = _worst(which, values[:, :, t])
        filled = int((lacking & there).sum() + failed.sum())

    no_row = ~has_row.any(axis=2)
    lacking = np.concatenate([lacking, (no_row & ~no_row.all(axis=0))[:, :, None]], axis=2)
    with_average = np.concatenate([values, nanmean(values, axis=2)[:, :, None]], axis=2)
    quality = which.quality(values)
    quality = np.concatenate([quality, nanmean(quality, axis=2)[:, :, None]], axis=2)
    return Cube(
        which, tuple(models), tuple(cases), (*targets, AVERAGE), with_average, quality, status, lacking, missing, filled
    )


def _worst(which: Metric, values: np.ndarray) -> float:
    """The metric's worst value, or the largest one seen (the lowest quality), or NaN where none was seen."""
    if which.worst is not None:
        return which.worst
    if which.better == "zero" and not np.isnan(values).all():  # the sign of an empty prediction, the size of the worst
        return -float(np.nanmax(np.abs(values)))
    quality = which.quality(values)
    return np.nan if np.isnan(quality).all() else float(values.flat[np.nanargmin(quality)])


def nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without NaN; NaN, and no warning, where all are NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)
