"""The whole analysis of some tables of scores, as data frames: what every CSV, figure and sentence is made of.

Knows which statistics a report holds and the rules in force. Leaves the numbers to `bench.stats` and the looks to its
neighbours.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench import stats
from vesalius.bench.report.forgetting import Comparison, compare, read_study, rule
from vesalius.bench.report.words import number
from vesalius.bench.stats.groups import MIN_GROUP
from vesalius.bench.stats.pairwise import ALPHA
from vesalius.bench.stats.ranking import RankBy
from vesalius.bench.stats.table import Missing
from vesalius.errors import VesaliusError
from vesalius.formats.metadata import Metadata, no_metadata, read_metadata
from vesalius.formats.score_tables import ScoreTables, read_scores
from vesalius.select import expression, snake_case


@dataclass(frozen=True)
class Settings:
    """What the user asked for; the names are those of the command's options."""

    metadata: Path | None = None
    id: str | None = None
    select: str | None = None
    in_distribution: str | None = None
    groups: str | None = None
    cluster: str | None = None
    rank_by: RankBy = "mean"
    missing: Missing | None = None
    metrics: tuple[str, ...] = ()
    replicates: int = 1000
    seed: int = 0
    forgetting: Path | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that a report says.

    Attributes:
        settings: as asked, with `missing` resolved.
        tables: the scores as read.
        metadata: of the cases that were judged.
        cubes: scores by metric.
        frames: `summary`, `pairwise`, `ranking`, `stability`, `places`, `rules`, `agreement`, and where asked for
            `groups`, `group_means`, `gap`: the columns are in the docstrings of `bench.stats`; `forgetting` and
            `forgetting_seeds` are the tables of `comparison`.
        factors: the factors of `groups`.
        inside, outside: cases in and out of distribution (bool), where asked for.
        flags: `model, case, metric, target, status, reason` of every row that is not plainly scored.
        notes: sentences about what was left out, matched, or is to be known.
        rules: what was done by which rule, a title and a sentence each.
        comparison: the forgetting study, where asked for.
    """

    settings: Settings
    tables: ScoreTables
    metadata: Metadata
    cubes: dict[str, stats.Cube]
    frames: dict[str, pl.DataFrame]
    factors: list[stats.Factor]
    inside: np.ndarray | None
    outside: np.ndarray | None
    flags: pl.DataFrame
    notes: tuple[str, ...]
    rules: dict[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, sorted."""
        return next(iter(self.cubes.values())).models

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases that were judged, sorted."""
        return next(iter(self.cubes.values())).cases

    @property
    def primary(self) -> str:
        """The metric that the verdict is about: DSC where there is one, else the first."""
        return _primary(self.cubes)

    @property
    def has_statuses(self) -> bool:
        """Whether some row says more than its value: missed, false positive, failed."""
        return self.tables.default_missing == "worst" or any((cube.status > 0).any() for cube in self.cubes.values())

    def targets(self, metric: str) -> list[str]:
        """Targets that some model has a value for, `average` first; without it where there is only one."""
        cube = self.cubes[metric]
        *single, average = (t for t, some in zip(cube.targets, self._scored(metric), strict=True) if some)
        return [average, *single] if len(single) > 1 else single

    def _scored(self, metric: str) -> list[bool]:
        return (~np.isnan(self.cubes[metric].values)).any(axis=(0, 1)).tolist()

    def units(self, among: np.ndarray) -> int:
        """How many units (patients, with --cluster) the bootstrap draws of these cases (bool)."""
        if not self.settings.cluster:
            return int(among.sum())
        cells = self.metadata.frame[snake_case(self.settings.cluster)].filter(pl.Series(among))
        return cells.drop_nulls().n_unique() + cells.null_count()

    def order(self, metric: str, target: str) -> list[str]:
        """Models in rank order, those without a rank last."""
        rows = self.frames["ranking"].filter((pl.col("metric") == metric) & (pl.col("target") == target))
        return rows.sort("rank", "model", nulls_last=True)["model"].to_list()


def analyse(scores: Sequence[str | Path], settings: Settings) -> Analysis:
    """Read, select and compute.

    Args:
        scores: Score tables or folders of `<algorithm>/<metric>.csv`.
        settings: what was asked for.

    Raises:
        VesaliusError: unreadable input, metadata that name none of the cases, a condition that keeps no case, …
    """
    tables = read_scores(scores)
    missing = settings.missing or tables.default_missing
    settings = replace(settings, missing=missing)
    study = read_study(settings.forgetting) if settings.forgetting else None
    notes = list(tables.notes)
    frame, metadata = _choose(tables.frame, settings, notes)
    cubes = stats.cubes(frame, settings.missing or "ignore", list(settings.metrics) or None)
    empty = [name for name, cube in cubes.items() if np.isnan(cube.values).all()]
    if len(empty) == len(cubes):
        raise VesaliusError("no case has a score", remedy="check the tables, or choose other cases", code="empty")
    for name in empty:
        notes.append(f"{cubes.pop(name).metric.title} has no value in any case and is left out")
    bootstrap = stats.Bootstrap(settings.replicates, settings.seed, _clusters(metadata.frame, settings, notes))
    factors = stats.factors(settings.groups, metadata.frame) if settings.groups else []
    for factor in factors:
        if factor.unknown:
            notes.append(
                f"groups by {factor.name}: {factor.unknown} of {len(factor.codes)} cases have no value and are left out"
            )
        if not (np.bincount(factor.codes[factor.codes >= 0]) >= MIN_GROUP).any():
            notes.append(f"groups by {factor.name}: every group has fewer than {MIN_GROUP} cases and is left out")
    inside, outside = _sides(metadata.frame, settings, notes)
    comparison = None
    if study:
        about = (metadata.frame, settings.cluster, inside, outside)
        comparison = compare(study, cubes, *about, bootstrap, _primary(cubes))
    frames = _frames(list(cubes.values()), bootstrap, settings, factors, inside, outside)
    if comparison:
        frames |= {"forgetting": comparison.table, "forgetting_seeds": comparison.by_seed}
    for cube in cubes.values():
        if cube.filled:
            notes.append(
                f"{cube.metric.title}: {cube.filled} values of failed or absent predictions are the worst value"
            )
    analysis = Analysis(
        settings, tables, metadata, cubes, frames, factors, inside, outside, _flags(frame), tuple(notes),
        comparison=comparison,
    )  # fmt: skip
    return replace(analysis, rules=_rules(analysis))


def _primary(cubes: dict[str, stats.Cube]) -> str:
    return "dsc" if "dsc" in cubes else next(iter(cubes))


def _choose(frame: pl.DataFrame, settings: Settings, notes: list[str]) -> tuple[pl.DataFrame, Metadata]:
    """The scores of the cases that were selected, and these cases' metadata in the cubes' order."""
    cases = sorted(frame["case"].unique().to_list())
    if settings.metadata is None:
        for option in ("select", "in_distribution", "groups", "cluster"):
            if getattr(settings, option) is not None:
                raise VesaliusError(
                    f"--{option.replace('_', '-')} needs to know the cases",
                    remedy="give --metadata CSV",
                    code="metadata",
                )
        return frame, no_metadata(cases)
    metadata = read_metadata(settings.metadata, cases, settings.id)
    notes.append(str(metadata))
    if metadata.unmatched:
        some = ", ".join(metadata.unmatched[:5]) + (" …" if len(metadata.unmatched) > 5 else "")
        notes.append(f"{number(len(metadata.unmatched), 'case')} without metadata, in no group: {some}")
    if settings.select is not None:
        kept = metadata.frame.filter(expression(settings.select, metadata.frame))
        if kept.is_empty():
            raise VesaliusError(
                f"--select «{settings.select}» keeps none of {len(cases)} cases", remedy="widen it", code="empty"
            )
        notes.append(f"--select «{settings.select}» keeps {kept.height} of {len(cases)} cases")
        chosen = set(kept["case"])
        frame = frame.filter(pl.col("case").is_in(chosen))
        metadata = replace(metadata, frame=kept, unmatched=[c for c in metadata.unmatched if c in chosen])
    return frame, metadata


def _clusters(metadata: pl.DataFrame, settings: Settings, notes: list[str]) -> tuple[str | None, ...] | None:
    if not settings.cluster:
        return None
    name = snake_case(settings.cluster)
    if name not in metadata.columns:
        raise VesaliusError(
            f"--cluster names the unknown column {settings.cluster}", remedy=f"columns are: "
            f"{', '.join(metadata.columns[1:])}",
            code="columns",
        )  # fmt: skip
    cells = metadata[name].cast(pl.String)
    known = cells.drop_nulls()
    notes.append(f"the bootstrap draws {known.n_unique() + cells.null_count()} units by {name} for {cells.len()} cases")
    if cells.null_count():
        notes.append(f"{number(cells.null_count(), 'case')} without {name}: each is drawn as a unit of its own")
    return tuple(cells)


def _sides(metadata: pl.DataFrame, settings: Settings, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Cases that meet the condition, and those that are known not to."""
    condition = settings.in_distribution
    if condition is None:
        return None, None
    inside = metadata.select(expression(condition, metadata)).to_series().to_numpy()
    outside = metadata.select(expression(f"not ({condition})", metadata)).to_series().to_numpy()
    for side, name in ((inside, "none"), (outside, "every one")):
        if not side.any():
            raise VesaliusError(
                f"--in-distribution «{condition}» is met by {name} of the cases", remedy="name a condition that "
                "parts them",
                code="empty",
            )  # fmt: skip
    unknown = int((~inside & ~outside).sum())
    notes.append(
        f"in distribution («{condition}»): {number(inside.sum(), 'case')}, out of distribution: {outside.sum()}"
    )
    if unknown:
        notes.append(f"{number(unknown, 'case')} on neither side, since the metadata are not known")
    return inside, outside


def _frames(
    cubes: list[stats.Cube],
    bootstrap: stats.Bootstrap,
    settings: Settings,
    factors: list[stats.Factor],
    inside: np.ndarray | None,
    outside: np.ndarray | None,
) -> dict[str, pl.DataFrame]:
    parts: dict[str, list[pl.DataFrame]] = {}

    def add(**frames: pl.DataFrame) -> None:
        for name, frame in frames.items():
            parts.setdefault(name, []).append(frame)

    for cube in cubes:
        tests = stats.pairwise(cube)
        ranking, stability, places = stats.ranking(cube, bootstrap, settings.rank_by)
        rules, taus = stats.agreement(cube, tests)
        add(summary=stats.summary(cube, bootstrap), pairwise=tests)
        add(ranking=ranking, stability=stability, places=places, rules=rules, agreement=taus)
        for factor in factors:
            add(groups=stats.groups(cube, factor), group_means=stats.group_means(cube, factor))
        if inside is not None and outside is not None:
            add(gap=stats.gap(cube, inside, outside, bootstrap))
    return {name: pl.concat(frames) for name, frames in parts.items()}


def _flags(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with a reason, or that failed, or whose reference cannot be read."""
    bad = pl.col("reason").is_not_null() | pl.col("status").is_in(["failed", "unscorable"])
    return frame.filter(bad.fill_null(False)).select("model", "case", "metric", "target", "status", "reason")


def _rules(analysis: Analysis) -> dict[str, str]:
    """The rules in force, in words."""
    settings = analysis.settings
    given = "as asked for" if settings.missing != analysis.tables.default_missing else "the default for these tables"
    ignore = (
        f"ignore ({given}): a failed or absent prediction is left out of every mean and counted beside it; "
        "an empty cell of a wide table is a structure that the reference lacks."
    )
    worst = (
        f"worst ({given}): a failed, missed or absent prediction gets the metric's worst value wherever another "
        "row shows "
        "that the structure is there (a distance without a fixed worst: the largest value seen for that target)."
    )
    draw = f"patients ({settings.cluster})" if settings.cluster else "cases"
    rules = {
        "Missing predictions": ignore if settings.missing == "ignore" else worst,
        "Structures that are in neither, or only in the prediction": "no value; counted (false positives) "
        "beside the mean.",
        "Average": "mean over the targets that a case has, then over cases.",
        "Spread": "SD of the population (ddof 0); quartiles by linear interpolation.",
        "Intervals": f"95 % percentile bootstrap: {settings.replicates} replicates, {draw} drawn with "
        "replacement, replicate i "
        f"seeded by child i of SeedSequence([{settings.seed}, stream]), so the same for any number of workers.",
        "Rank": f"by the {settings.rank_by} (for signed metrics by its size); ties share the mean rank; tables "
        "and heat maps "
        "are in this order.",
        "Pairwise tests": "one-sided Wilcoxon signed-rank for every ordered pair (zeros dropped, exact where "
        "scipy's auto "
        f"chooses it), Holm over all ordered pairs of a metric and target, α = {ALPHA}; effect: matched-pairs "
        "rank-biserial.",
        "Sets of cases": "summary, groups and gap: each model's own; tests: those that the pair shares; "
        "bootstrap ranks and "
        "agreement of rules: those that all models share.",
    }
    scored = {json.dumps(source.scoring): source.scoring for source in analysis.tables.sources if source.scoring}
    if scored:
        rules["Scoring of masks"] = " ".join(_scoring(settings) for settings in scored.values())
    if analysis.factors:
        rules["Groups"] = (
            f"fewer than {MIN_GROUP} cases are left out; Kruskal–Wallis (effect ε²) is the gate at p ≤ {ALPHA}; "
            "then two-sided "
            "Mann–Whitney U (effect Cliff's δ), Benjamini–Hochberg within metric × model × target × factor. "
            "Average algorithm: mean over models, case by case."
        )
    if analysis.inside is not None:
        rules["Gap"] = (
            f"mean in distribution («{settings.in_distribution}») minus mean out of it; each side drawn on its "
            "own; two-sided "
            "Mann–Whitney p, Holm over models."
        )
    if analysis.comparison:
        rules["Forgetting"] = rule(analysis.comparison)
    if settings.cluster:
        rules["Clusters"] = (
            "intervals and rank stability draw whole patients; the rank tests take cases as independent."
        )
    return rules


def _scoring(settings: dict[str, Any]) -> str:
    """What the numbers of masks depend on, as `bench score` left it in the table."""
    tolerance = settings["tolerance"]
    each = tolerance.items() if isinstance(tolerance, dict) else [("", tolerance)]
    tolerance = ", ".join(f"{name} {mm:g}".strip() for name, mm in each)
    return (
        f"Spacing is that of each reference's header. NSD tolerance: {tolerance} mm. Empty masks: policy "
        f"«{settings['empty']}»; a failed prediction gets what a missed structure gets, always. Components: "
        f"{settings['connectivity']} neighbours, matched at an IoU of {settings['instance_iou']:g}. "
        f"Boundary bands: {settings['boundary_width']:g} mm."
    )
