"""The questions of a forgetting study and their numbers: per class and together, in and out of distribution.

Knows which model is compared with which on which classes. Leaves the statistics to `stats.equivalence`, sentences to
`words`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from vesalius.bench.report.forgetting.study import Study, seed_of
from vesalius.bench.stats.equivalence import Judgement, Paired, by_unit, judge, mean_of, paired
from vesalius.bench.stats.resample import Bootstrap
from vesalius.bench.stats.table import AVERAGE, Cube, nanmean
from vesalius.select import snake_case

Side = Literal["all", "in", "out"]
SCHEMA = {
    "question": pl.String, "side": pl.String, "metric": pl.String, "first": pl.String, "second": pl.String,
    "target": pl.String, "n": pl.Int64, "units": pl.Int64, "mean_first": pl.Float64, "mean_second": pl.Float64,
    "difference": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64, "ci90_low": pl.Float64,
    "ci90_high": pl.Float64, "bootstrap_low": pl.Float64, "bootstrap_high": pl.Float64,
    "bootstrap90_low": pl.Float64, "bootstrap90_high": pl.Float64, "p_differs": pl.Float64,
    "p_differs_holm": pl.Float64, "p_equivalent": pl.Float64, "p_equivalent_holm": pl.Float64, "effect": pl.Float64,
    "margin": pl.Float64, "verdict": pl.String,
}  # fmt: skip
SEED_SCHEMA = {
    "question": pl.String, "side": pl.String, "metric": pl.String, "first": pl.String, "second": pl.String,
    "target": pl.String, "seed": pl.String, "n": pl.Int64, "difference": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two models (as the study names them), and the classes on which they are compared."""

    first: str
    second: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One question of a study.

    Attributes:
        key: in the tables.
        text: as a reader asks it.
        first, second: what the two sides are called in a sentence.
        asks: the outcome for which the answer is yes ("equivalent": better does as well).
        pairs: who is compared with whom.
    """

    key: str
    text: str
    first: str
    second: str
    asks: Literal["better", "worse", "equivalent"]
    pairs: tuple[Pair, ...]

    def is_yes(self, outcome: str) -> bool:
        """Whether an outcome says yes."""
        return outcome == self.asks or (self.asks, outcome) == ("equivalent", "better")


@dataclass(frozen=True, eq=False)
class Comparison:
    """A study with its numbers.

    Attributes:
        study: as its file says it, with the metric resolved.
        questions: those that can be asked, in reading order.
        sides: of the cases: "in" and "out", or "all".
        seeds: names of the training runs; empty where there is one.
        crossed: whether the same patients are judged under several seeds.
        table: a row a question, side, pair and class, then one of the classes' `average`: columns of `SCHEMA`. The
            average of several pairs names the two sides as the question does. `difference` is of quality: positive
            where the first is better, whatever the metric. Holm over the classes of one question and side; the
            average is a question of its own.
        by_seed: the same differences, a row a seed: columns of `SEED_SCHEMA`.
    """

    study: Study
    questions: tuple[Question, ...]
    sides: tuple[Side, ...]
    seeds: tuple[str, ...]
    crossed: bool
    table: pl.DataFrame
    by_seed: pl.DataFrame

    def rows(self, question: Question, side: Side) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The row of the average, and those of the classes."""
        found = self.table.filter((pl.col("question") == question.key) & (pl.col("side") == side)).to_dicts()
        return found[-1], found[:-1]


def questions(study: Study, targets: tuple[str, ...]) -> tuple[Question, ...]:
    """The questions that the models of a study allow.

    Args:
        study: see there.
        targets: all classes that have scores.
    """
    general, joined, continued = study.generalist, study.joined or "", study.continued or ""
    rest = tuple(name for name in targets if name not in study.owned)
    experts = tuple(study.experts.items())
    asked = [
        Question(
            "expert_generalist", "Do the experts beat the generalist on their classes?", "experts", "generalist",
            "better", tuple(Pair(name, general, own) for name, own in experts),
        ),
        Question(
            "tuned_generalist", "Does fine-tuning beat the generalist on its own classes?", "fine-tuned", "generalist",
            "better", tuple(Pair(name, general, own) for name, own in study.fine_tuned.items()),
        ),
        Question(
            "tuned_forgets", "Does fine-tuning lose on the other classes?", "fine-tuned", "generalist", "worse",
            tuple(
                Pair(name, general, tuple(t for t in targets if t not in own))
                for name, own in study.fine_tuned.items()
            ),
        ),
        Question(
            "joined_expert", "Is the joined model as good as the experts on their classes?", "joined", "experts",
            "equivalent", tuple(Pair(joined, name, own) for name, own in experts if joined),
        ),
        Question(
            "joined_generalist", "Is the joined model as good as the generalist on the rest?", "joined", "generalist",
            "equivalent", (Pair(joined, general, rest),) if joined else (),
        ),
        Question(
            "continued_generalist", "Does it help to train the generalist on for as many steps?", "trained on",
            "generalist", "better", (Pair(continued, general, targets),) if continued else (),
        ),
        Question(
            "expert_continued", "Do the experts beat the generalist that was trained on, on their classes?", "experts",
            "trained on", "better", tuple(Pair(name, continued, own) for name, own in experts if continued),
        ),
        Question(
            "joined_continued", "Does the joined model beat the generalist that was trained on, over all classes?",
            "joined", "trained on", "better", (Pair(joined, continued, targets),) if joined and continued else (),
        ),
    ]  # fmt: skip
    kept = [replace(one, pairs=tuple(pair for pair in one.pairs if pair.targets)) for one in asked]
    return tuple(one for one in kept if one.pairs)


def compare(
    study: Study,
    cubes: Mapping[str, Cube],
    metadata: pl.DataFrame,
    cluster: str | None,
    inside: np.ndarray | None,
    outside: np.ndarray | None,
    bootstrap: Bootstrap,
    first_metric: str,
) -> Comparison:
    """Ask a study's questions of some scores.

    Args:
        study: see there.
        cubes: the scores, by metric.
        metadata: a row a case, in the cubes' order.
        cluster: column that names the patient; a case is one of its own without it.
        inside, outside: bool, one for each case; None where the report does not part them.
        bootstrap: replicates and seed.
        first_metric: for a study that names none.

    Raises:
        VesaliusError: a model, class, metric or column that the study names is not there; a margin that fits no unit.
    """
    name = study.metric or first_metric
    if name not in cubes:
        raise study.wrong(f"key metric: no scores of {name}", f"metrics are: {', '.join(cubes)}")
    cube = cubes[name]
    if cube.metric.unit and "margin" not in study.model_fields_set:
        problem = f"key margin: {study.margin:g} is meant for fractions; {name} is in {cube.metric.unit}"
        raise study.wrong(problem, f"give the difference in {cube.metric.unit} that does not matter")
    study = study.model_copy(update={"metric": name})
    targets = cube.targets[:-1]
    study.check_classes(targets)
    cohort = _cohort(study, cube, metadata, cluster)
    sides: dict[Side, np.ndarray] = {"all": np.ones(len(cube.cases), dtype=bool)}
    if inside is not None and outside is not None:
        sides = {"in": inside, "out": outside}
    asked, rows, seeds = questions(study, targets), [], []
    for question in asked:
        for side, among in sides.items():
            some, each = _ask(question, side, cohort, cohort.known & np.tile(among, len(cohort.runs)), study, bootstrap)
            rows += some
            seeds += each
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row").fill_nan(None)
    by_seed = pl.DataFrame(seeds, schema=SEED_SCHEMA, orient="row").fill_nan(None)
    return Comparison(study, asked, tuple(sides), cohort.names, cohort.crossed, table, by_seed)


@dataclass(frozen=True, eq=False)
class _Cohort:
    """The scores of every run one after the other, with whose they are.

    Attributes:
        cube: the scores.
        runs: seeds that the names of models hold, or ("",).
        names: of the seeds.
        seeds: index into `names` for each case of each run; None where there is one run.
        subjects: the patient of each.
        known: bool; whether the seed of each is known.
    """

    cube: Cube
    runs: tuple[str, ...]
    names: tuple[str, ...]
    seeds: np.ndarray | None
    subjects: np.ndarray
    known: np.ndarray

    @property
    def crossed(self) -> bool:
        """Whether a patient comes under more than one seed."""
        if self.seeds is None:
            return False
        both = {(s, p) for s, p in zip(self.seeds[self.known], self.subjects[self.known], strict=True)}
        return len(both) > len({subject for _, subject in both})

    def scores(self, array: np.ndarray, model: str, targets: tuple[str, ...]) -> np.ndarray:
        """Of every run: (runs · cases) × targets."""
        where = [self.cube.targets.index(target) for target in targets]
        models = [self.cube.models.index(Study.of_run(model, run)) for run in self.runs]
        return array[models][:, :, where].reshape(-1, len(where))


def _cohort(study: Study, cube: Cube, metadata: pl.DataFrame, cluster: str | None) -> _Cohort:
    runs = study.runs(cube.models)
    subjects = pl.Series(cube.cases)
    if cluster:
        patients = metadata[snake_case(cluster)].cast(pl.String)
        subjects = pl.select(pl.coalesce(pl.lit("patient ") + patients, pl.lit("case ") + subjects)).to_series()
    codes = np.unique(subjects.to_numpy(), return_inverse=True)[1]
    if runs != ("",):
        if study.seed:
            raise study.wrong("the seed stands both in `seed` and in names of models", "keep one of them")
        seeds = np.repeat(np.arange(len(runs)), len(cube.cases))
        known = np.ones(len(seeds), dtype=bool)
        several = len(runs) > 1
        return _Cohort(
            cube, runs, runs if several else (), seeds if several else None, np.tile(codes, len(runs)), known
        )
    cells = _seeds(study, cube.cases, metadata)
    names = tuple(sorted({cell for cell in cells if cell is not None}, key=lambda cell: (len(cell), cell)))
    known = np.array([cell is not None for cell in cells])
    if len(names) < 2:
        return _Cohort(cube, runs, (), None, codes, np.ones(len(cells), dtype=bool))
    index = {cell: i for i, cell in enumerate(names)}
    seeds = np.array([index.get(cell or "", -1) for cell in cells])
    return _Cohort(cube, runs, names, seeds, codes, known)


def _seeds(study: Study, cases: tuple[str, ...], metadata: pl.DataFrame) -> list[str | None]:
    """The seed of each case, None where it is not known."""
    if study.seed and "{seed}" in study.seed:
        found = [seed_of(study.seed, case) for case in cases]
        if not any(found):
            raise study.wrong(f"key seed: {study.seed} fits none of the cases", f"cases are called {cases[0]}, …")
        return found
    column = snake_case(study.seed or "seed")
    if column in metadata.columns:
        cells = metadata[column]
        whole = cells.dtype.is_float() and bool((cells.drop_nulls() % 1 == 0).all())
        return (cells.cast(pl.Int64) if whole else cells).cast(pl.String).to_list()
    if study.seed:
        remedy = f"columns are: {', '.join(metadata.columns[1:]) or 'none (give --metadata)'}; or write s{{seed}}_*"
        raise study.wrong(f"key seed: the metadata have no column {study.seed}", remedy)
    return [None] * len(cases)


@dataclass(frozen=True, eq=False)
class _Row:
    """What becomes a row: whose difference on which class, and the values of the cases that both sides have."""

    first: str
    second: str
    target: str
    difference: np.ndarray
    values: tuple[np.ndarray, np.ndarray]


def _ask(
    question: Question, side: Side, cohort: _Cohort, among: np.ndarray, study: Study, bootstrap: Bootstrap
) -> tuple[list[dict], list[dict]]:
    """One question on one side: rows of classes and average, and the same seed by seed."""
    subjects = cohort.subjects[among]
    seeds = None if cohort.seeds is None else cohort.seeds[among]
    classes = [row for pair in question.pairs for row in _rows(pair, cohort, among)]
    whose = (classes[0].first, classes[0].second) if len(question.pairs) == 1 else (question.first, question.second)

    def together(parts: list[np.ndarray]) -> np.ndarray:
        return nanmean(np.column_stack(parts), axis=1)

    sides = together([row.values[0] for row in classes]), together([row.values[1] for row in classes])
    whole = _Row(*whose, AVERAGE, together([row.difference for row in classes]), sides)
    rows, each = [], []
    for family in (classes, [whole]):  # the average is a question of its own, not one of the classes'
        found = [paired(row.difference, subjects, seeds, bootstrap) for row in family]
        for row, result, said in zip(family, found, judge(found, study.margin), strict=True):
            means = [mean_of(by_unit(value, subjects, seeds)) for value in row.values]
            about = {"question": question.key, "side": side, "metric": study.metric}
            about |= {"first": row.first, "second": row.second, "target": row.target}
            rows.append(about | _numbers(result, said, means, study.margin))
            for s, name in enumerate(cohort.names):
                own = row.difference[seeds == s]
                value = mean_of(by_unit(own, subjects[seeds == s]))
                each.append(about | {"seed": name, "n": int((~np.isnan(own)).sum()), "difference": value})
    return rows, each


def _rows(pair: Pair, cohort: _Cohort, among: np.ndarray) -> list[_Row]:
    cube, names = cohort.cube, (pair.first, pair.second)
    quality = [cohort.scores(cube.quality, name, pair.targets)[among] for name in names]
    difference = quality[0] - quality[1]
    values = [cohort.scores(cube.values, name, pair.targets)[among] for name in names]
    first, second = (np.where(np.isnan(difference), np.nan, value) for value in values)
    plain = [name.replace("{seed}", "*") for name in names]
    return [
        _Row(plain[0], plain[1], target, difference[:, t], (first[:, t], second[:, t]))
        for t, target in enumerate(pair.targets)
    ]


def _numbers(result: Paired, said: Judgement, means: list[float], margin: float) -> dict[str, Any]:
    spans = {
        "ci": result.t_interval(0.95), "ci90": result.t_interval(0.9),
        "bootstrap": result.bootstrap_interval(0.95), "bootstrap90": result.bootstrap_interval(0.9),
    }  # fmt: skip
    return {
        "n": result.n, "units": result.units, "mean_first": means[0], "mean_second": means[1],
        "difference": result.mean, **{f"{name}_{end}": span[i] for name, span in spans.items()
                                      for i, end in enumerate(("low", "high"))},
        "p_differs": said.p_differs, "p_differs_holm": said.p_differs_holm, "p_equivalent": said.p_equivalent,
        "p_equivalent_holm": said.p_equivalent_holm, "effect": result.effect, "margin": margin, "verdict": said.outcome,
    }  # fmt: skip
