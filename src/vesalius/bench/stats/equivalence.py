"""Is a difference there, and is it small enough not to matter: paired differences against zero and against a margin.

Everything is about the mean difference, since that is what a margin in Dice speaks of. Rank tests were left aside on
purpose: a joined model that equals its expert in nine cases of ten and misses the structure in the tenth has a median
difference of zero, and a signed-rank test calls it equivalent while its mean has lost a tenth of the Dice.

Two methods must agree before anything is said. t on the means of the independent units holds its error with few of
them. It does not where differences are skewed, as those of a rare miss are: at the margin it calls one study in nine
equivalent where one in twenty is allowed, and so does the percentile bootstrap; the bootstrap of t (Efron & Tibshirani
1993, 12.5) holds. With seeds the units are means of many cases, hardly skewed and too few for a bootstrap of t: there
the hierarchical bootstrap takes percentiles. Knows nothing of models or Scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vesalius.bench.stats.pairwise import ALPHA, holm
from vesalius.bench.stats.resample import Bootstrap
from vesalius.bench.stats.table import nanmean

Outcome = Literal["better", "worse", "equivalent", "undecided"]
OUTCOMES: tuple[Outcome, ...] = ("better", "worse", "equivalent", "undecided")
MIN_UNITS = 3  # fewer that happen to agree have no spread to judge by

_STREAM = 5  # of the bootstrap, beside those of ranking and gap
_NOTHING = 1e-12  # Dice values are quotients of counts: what is smaller is rounding


@dataclass(frozen=True, eq=False)
class Paired:
    """The mean of paired differences, and how surely it is known.

    Attributes:
        mean: of the units' means, so that a seed or patient with many cases counts no more than one with few.
        error, df: its standard error and degrees of freedom.
        n: differences that have a value.
        units: independent units: seeds where there are several, else patients (cases).
        effect: mean over SD of the units' means (Cohen's d_z); NaN where they do not differ.
        replicates: bootstrap means.
        studentised: (bootstrap mean − mean) / its own standard error; None with seeds, which are too few for it.
    """

    mean: float
    error: float
    df: float
    n: int
    units: int
    effect: float
    replicates: np.ndarray
    studentised: np.ndarray | None = None

    @property
    def testable(self) -> bool:
        """Whether there are units enough for any statement."""
        return self.units >= MIN_UNITS

    def t_interval(self, level: float) -> tuple[float, float]:
        """Interval of the mean by t; NaN where there are too few units."""
        from scipy.special import stdtrit

        if not self.testable:
            return np.nan, np.nan
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.error
        return self.mean - half, self.mean + half

    def bootstrap_interval(self, level: float) -> tuple[float, float]:
        """Interval of the mean by the bootstrap: of t, or percentiles with seeds.

        An end is NaN where it cannot be told: too few units, or draws without any spread.
        """
        if not self.testable:
            return np.nan, np.nan
        tails = [(1 - level) / 2, (1 + level) / 2]
        if self.studentised is None:
            low, high = np.quantile(self.replicates, tails)
        else:
            below, above = np.quantile(self.studentised, tails, method="nearest")
            if not (np.isfinite(below) and np.isfinite(above)):
                return np.nan, np.nan
            low, high = self.mean - above * self.error, self.mean - below * self.error
        return float(low), float(high)

    def p_above(self, bound: float) -> float:
        """One-sided p for "the mean lies above `bound`"; 1 where there are too few units."""
        from scipy.special import stdtr

        if not self.testable:
            return 1.0
        if self.error <= _NOTHING:
            return 0.0 if self.mean > bound + _NOTHING else 1.0
        return float(stdtr(self.df, -(self.mean - bound) / self.error))

    def p_below(self, bound: float) -> float:
        """One-sided p for "the mean lies below `bound`"."""
        mirrored = Paired(-self.mean, self.error, self.df, self.n, self.units, -self.effect, -self.replicates)
        return mirrored.p_above(-bound)

    def p_differs(self) -> float:
        """Two-sided p for "the mean is not zero": the paired t-test."""
        return min(1.0, 2 * min(self.p_above(0), self.p_below(0)))

    def p_equivalent(self, margin: float) -> float:
        """Two one-sided tests (Schuirmann 1987): the larger p of "above −margin" and "below +margin"."""
        return max(self.p_above(-margin), self.p_below(margin))


@dataclass(frozen=True)
class Judgement:
    """What can be said of one difference; p-values as they are and by Holm over the family."""

    outcome: Outcome
    p_differs: float
    p_differs_holm: float
    p_equivalent: float
    p_equivalent_holm: float


def paired(
    differences: np.ndarray,
    subjects: Sequence | np.ndarray | None = None,
    seeds: Sequence | np.ndarray | None = None,
    bootstrap: Bootstrap | None = None,
) -> Paired:
    """The mean difference with its error.

    Args:
        differences: first minus second, a value a pair; NaN pairs take no part.
        subjects: for each pair the patient (or case) it is of; by default each is one of its own. Several pairs of
            one subject and seed are averaged first.
        seeds: for each pair the training run it is of. With two or more, a statement about the method and not about
            one run: the seeds' means are the observations (df = seeds − 1), and the bootstrap draws seeds, then
            subjects within each. Where subjects come again under several seeds, seeds and subjects are both drawn,
            and the squared errors of both are added (two-way clusters, Cameron, Gelbach & Miller 2011, without the
            subtracted term: on the safe side), with Satterthwaite's degrees of freedom.
        bootstrap: replicates and seed.

    Returns:
        the mean; NaN with no unit where no pair has a value.
    """
    table = by_unit(differences, subjects, seeds)
    n = int((~np.isnan(np.asarray(differences, dtype=float))).sum())
    if not table.size:
        return Paired(np.nan, np.nan, np.nan, 0, 0, np.nan, np.empty(0))
    levels = _levels(table)
    mean, parts = float(levels[0].mean()), np.array([level.var(ddof=1) / len(level) if len(level) > 1 else np.nan
                                                     for level in levels])  # fmt: skip
    freedom = np.array([len(level) - 1 for level in levels])
    variance = float(parts.sum())
    df = float(variance**2 / (parts**2 / freedom).sum()) if variance > 0 else float(freedom.min())
    spread = float(levels[0].std(ddof=1)) if len(levels[0]) > 1 else np.nan
    effect = mean / spread if spread > _NOTHING else np.nan
    units = min(len(level) for level in levels)
    replicates, errors = _draw(table, bootstrap or Bootstrap())
    studentised = None if errors is None else _over(replicates - mean, errors)
    return Paired(mean, float(np.sqrt(variance)), df, n, units, effect, replicates, studentised)


def judge(family: Sequence[Paired], margin: float, alpha: float = ALPHA) -> list[Judgement]:
    """What can be said of each difference of one family (the classes of one question).

    "equivalent": two one-sided t-tests at `alpha`, by Holm, and the bootstrap's 90 % interval (1 − 2 α) inside the
    margin. Else "better" or "worse": two-sided t by Holm, and the bootstrap's 95 % interval without zero. Else
    "undecided". A difference that is surely there but surely smaller than the margin is equivalent: the margin was
    fixed to say what matters.

    Args:
        family: differences, first minus second, larger is better.
        margin: the largest difference that does not matter, fixed before looking; in the differences' unit.
        alpha: of each kind of statement.

    Raises:
        ValueError: the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"margin {margin} is not positive")
    differs, equivalent = ([one.p_differs() for one in family], [one.p_equivalent(margin) for one in family])
    differs_holm, equivalent_holm = holm(np.array(differs)), holm(np.array(equivalent))
    out = []
    for i, one in enumerate(family):
        narrow, wide = one.bootstrap_interval(1 - 2 * alpha), one.bootstrap_interval(1 - alpha)
        outcome: Outcome = "undecided"
        if equivalent_holm[i] < alpha and -margin < narrow[0] and narrow[1] < margin:
            outcome = "equivalent"
        elif differs_holm[i] < alpha and (wide[0] > 0 or wide[1] < 0):
            outcome = "better" if one.mean > 0 else "worse"
        out.append(Judgement(outcome, differs[i], float(differs_holm[i]), equivalent[i], float(equivalent_holm[i])))
    return out


def by_unit(
    values: np.ndarray, subjects: Sequence | np.ndarray | None = None, seeds: Sequence | np.ndarray | None = None
) -> np.ndarray:
    """Values as a table seeds × subjects, NaN where a seed has no value of a subject; one row without seeds.

    Rows and columns without any value are left out, so that a table without values has size 0.
    """
    values = np.asarray(values, dtype=float)
    kept = ~np.isnan(values)
    codes = [
        np.unique(np.asarray(labels)[kept], return_inverse=True)[1]
        for labels in (
            np.zeros(len(values)) if seeds is None else seeds,
            np.arange(len(values)) if subjects is None else subjects,
        )
    ]
    shape = tuple(int(code.max()) + 1 if len(code) else 0 for code in codes)
    total, number = np.zeros(shape), np.zeros(shape)
    np.add.at(total, tuple(codes), values[kept])
    np.add.at(number, tuple(codes), 1)
    return np.divide(total, number, out=np.full(shape, np.nan), where=number > 0)


def mean_of(table: np.ndarray) -> float:
    """The mean of a table of `by_unit`, every unit alike; NaN of an empty one."""
    return float(_levels(table)[0].mean()) if table.size else float("nan")


def _levels(table: np.ndarray) -> list[np.ndarray]:
    """The means of the units at each level that is drawn; the first level's mean is the estimate."""
    if len(table) == 1:
        return [table[0]]
    by_seed = nanmean(table, axis=1)
    return [by_seed, nanmean(table, axis=0)] if _crossed(table) else [by_seed]


def _crossed(table: np.ndarray) -> bool:
    return bool(((~np.isnan(table)).sum(axis=0) > 1).any())


def _over(shift: np.ndarray, error: np.ndarray) -> np.ndarray:
    """shift / error; 0 where neither is anything, ±inf where only the error is nothing."""
    sure = error <= _NOTHING
    limit = np.where(np.abs(shift) <= _NOTHING, 0.0, np.copysign(np.inf, shift))
    return np.where(sure, limit, shift / np.where(sure, 1.0, error))


def _draw(table: np.ndarray, bootstrap: Bootstrap) -> tuple[np.ndarray, np.ndarray | None]:
    """Means of the replicates, and without seeds the standard error of each."""
    rng = np.random.default_rng([bootstrap.seed, _STREAM])
    many, (seeds, subjects) = bootstrap.replicates, table.shape
    if seeds == 1:
        drawn = table[0][rng.integers(0, subjects, (many, subjects))]
        errors = drawn.std(axis=1, ddof=1) / np.sqrt(subjects) if subjects > 1 else np.zeros(many)
        return drawn.mean(axis=1), errors
    picked = rng.integers(0, seeds, (many, seeds))
    if _crossed(table):
        weights = rng.multinomial(subjects, np.full(subjects, 1 / subjects), many).astype(float)
        present = ~np.isnan(table)
        number = weights @ present.T
        total = weights @ np.where(present, table, 0).T
        means = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
        drawn = nanmean(np.take_along_axis(means, picked, axis=1), axis=1)
        return drawn[~np.isnan(drawn)], None
    means = np.empty((many, seeds))
    for seed, row in enumerate(table):  # a seed that is drawn twice draws its subjects twice
        own, where = row[~np.isnan(row)], picked == seed
        means[where] = own[rng.integers(0, len(own), (int(where.sum()), len(own)))].mean(axis=1)
    return means.mean(axis=1), None
