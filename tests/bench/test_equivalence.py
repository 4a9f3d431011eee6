"""Paired differences against zero and against a margin: independent numbers, planted effects, error rates."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vesalius.bench.stats.equivalence import by_unit, judge, paired
from vesalius.bench.stats.resample import Bootstrap

FEW = Bootstrap(200)

# Student's (1908) hours of additional sleep, ten patients, two drugs.
DEXTRO = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
LAEVO = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
# Dice of two models on eight cases.
FIRST = np.array([0.712, 0.688, 0.745, 0.731, 0.699, 0.720, 0.708, 0.734])
SECOND = np.array([0.705, 0.697, 0.741, 0.725, 0.706, 0.716, 0.713, 0.729])


# What statsmodels 0.15.0 says: weightstats.ttost_paired(first, second, -margin, margin).
@pytest.mark.parametrize(
    ("difference", "margin", "lower", "upper"),
    [
        (LAEVO - DEXTRO, 2.5, 1.200241738189643e-06, 0.021116860246500745),
        (LAEVO - DEXTRO, 3.0, 4.5226949658324543e-07, 0.002655570292658671),
        (LAEVO - DEXTRO, 2.0, 3.5523441592476907e-06, 0.1541572356690974),
        (FIRST - SECOND, 0.02, 2.1276136894455557e-05, 3.1893534907334336e-05),
        (FIRST - SECOND, 0.005, 0.02187735483685512, 0.04889226398038119),
    ],
)
def test_two_one_sided_tests_are_statsmodels(difference, margin, lower, upper):
    found = paired(difference)
    assert found.p_above(-margin) == pytest.approx(lower, rel=1e-9)
    assert found.p_below(margin) == pytest.approx(upper, rel=1e-9)
    assert found.p_equivalent(margin) == pytest.approx(max(lower, upper), rel=1e-9)


def test_difference_and_interval_are_scipys():
    found, expected = paired(LAEVO - DEXTRO), scipy_stats.ttest_rel(LAEVO, DEXTRO)
    assert found.p_differs() == pytest.approx(expected.pvalue, rel=1e-9)
    for level in (0.9, 0.95):
        assert found.t_interval(level) == pytest.approx(tuple(expected.confidence_interval(level)), rel=1e-9)
    assert found.effect == pytest.approx(1.58 / np.std(LAEVO - DEXTRO, ddof=1))
    drawn = scipy_stats.bootstrap((LAEVO - DEXTRO,), np.mean, method="percentile", n_resamples=4000, rng=0)
    ours = np.percentile(paired(LAEVO - DEXTRO, bootstrap=Bootstrap(4000)).replicates, [2.5, 97.5])
    assert tuple(ours) == pytest.approx(tuple(drawn.confidence_interval), abs=0.06)


def test_the_bootstrap_of_t_reaches_towards_the_long_tail():
    values = np.array([0.0] * 30 + [-0.1, -0.2, -0.05, -0.3])
    found = paired(values)
    low, high = found.bootstrap_interval(0.9)
    t_low, t_high = found.t_interval(0.9)
    assert low < t_low and high < t_high
    narrow = paired(np.random.default_rng(0).normal(size=400)).bootstrap_interval(0.9)
    assert narrow == pytest.approx(paired(np.random.default_rng(0).normal(size=400)).t_interval(0.9), abs=0.02)
    assert all(np.isnan(paired(np.array([0.0] * 9 + [0.1])).bootstrap_interval(0.95))), "a third of draws are all zero"


def test_cases_without_a_value_take_no_part_and_a_patient_counts_once():
    values = np.array([0.1, np.nan, 0.3, 0.5, 0.2])
    found = paired(values, ["a", "a", "b", "b", "c"])
    assert (found.n, found.units, found.mean) == (4, 3, pytest.approx((0.1 + 0.4 + 0.2) / 3))
    assert found.p_differs() == pytest.approx(scipy_stats.ttest_1samp([0.1, 0.4, 0.2], 0).pvalue)
    nothing = paired(np.full(3, np.nan))
    assert nothing.n == 0 and np.isnan(nothing.mean) and nothing.p_equivalent(1) == 1
    assert judge([nothing], 0.02)[0].outcome == "undecided"
    assert by_unit(np.full(3, np.nan)).size == 0


def test_seeds_are_the_observations():
    rng = np.random.default_rng(0)
    seeds, values = np.repeat(np.arange(5), 20), rng.normal(0.05, 0.02, 100)
    means = values.reshape(5, 20).mean(axis=1)
    found = paired(values, seeds=seeds)
    assert found.units == 5 and found.df == 4
    assert found.p_differs() == pytest.approx(scipy_stats.ttest_1samp(means, 0).pvalue, rel=1e-9)


def test_patients_that_come_again_under_every_seed_are_drawn_too():
    rng = np.random.default_rng(0)
    table = 0.01 * rng.normal(size=(4, 1)) + 0.05 * rng.normal(size=(1, 12)) + 0.002 * rng.normal(size=(4, 12))
    seeds, cases = np.repeat(np.arange(4), 12), np.tile(np.arange(12), 4)
    found = paired(table.ravel(), cases, seeds, Bootstrap(2000))
    by_seed, by_case = table.mean(axis=1).var(ddof=1) / 4, table.mean(axis=0).var(ddof=1) / 12
    assert found.error == pytest.approx(np.sqrt(by_seed + by_case))
    assert found.df == pytest.approx((by_seed + by_case) ** 2 / (by_seed**2 / 3 + by_case**2 / 11))
    assert found.replicates.std() == pytest.approx(found.error, rel=0.2)
    apart = paired(table.ravel(), seeds=seeds, bootstrap=FEW)
    assert apart.error < found.error / 2, "patients of their own would hide that they are the same"


def test_the_hierarchical_bootstrap_has_the_variance_of_its_levels():
    rng = np.random.default_rng(1)
    seeds = np.repeat(np.arange(8), 30)
    values = rng.normal(0, 0.03, 8)[seeds] + rng.normal(0, 0.05, 240)
    table = values.reshape(8, 30)
    # Davison & Hinkley (1997), 3.8: between the seeds' means, and within the seeds, both without Bessel's correction.
    expected = table.mean(axis=1).var() / 8 + table.var(axis=1).mean() / (8 * 30)
    assert paired(values, seeds=seeds, bootstrap=Bootstrap(4000)).replicates.var() == pytest.approx(expected, rel=0.08)


def test_the_same_seed_gives_the_same_draws():
    values = np.random.default_rng(0).normal(size=30)
    one, two, other = (paired(values, bootstrap=Bootstrap(100, seed)).replicates for seed in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


def test_the_four_verdicts():
    noise = np.tile([-1.0, 1.0, 0.5, -0.5], 10)
    found = [paired(mean + sd * noise) for mean, sd in ((0.1, 0.02), (-0.1, 0.02), (0.0, 0.01), (0.01, 0.1))]
    said = [one.outcome for one in judge(found, 0.02)]
    assert said == ["better", "worse", "equivalent", "undecided"]
    small = judge([paired(0.01 + 0.002 * noise)], 0.02)[0]
    assert small.outcome == "equivalent" and small.p_differs < 0.001, "sure, and too small to matter"


def test_equal_models_are_equivalent_and_two_cases_prove_nothing():
    assert judge([paired(np.zeros(10))], 0.02)[0].outcome == "equivalent"
    assert judge([paired(np.full(10, 0.02))], 0.02)[0].outcome != "equivalent", "at the margin is not inside"
    assert judge([paired(np.full(10, 0.3))], 0.02)[0].outcome == "better"
    assert judge([paired(np.zeros(2))], 0.02)[0].outcome == "undecided"


def test_holm_runs_over_the_family():
    rng = np.random.default_rng(3)
    family = [paired(rng.normal(0, 0.02, 12), bootstrap=FEW) for _ in range(6)]
    said = judge(family, 0.02)
    assert sorted(one.p_equivalent_holm for one in said)[0] == pytest.approx(6 * min(one.p_equivalent for one in said))
    with pytest.raises(ValueError, match="not positive"):
        judge(family, 0)


def test_a_rare_miss_is_not_hidden_by_many_equal_cases():
    """What a signed-rank test would call equivalent: nine of ten cases alike, the tenth lost."""
    values = np.where(np.arange(100) % 10 == 0, -0.6, 0.0)
    assert scipy_stats.wilcoxon(values + 0.02, alternative="greater").pvalue < 0.001
    assert judge([paired(values)], 0.02)[0].outcome == "worse"


# Differences of Dice are skewed and full of zeros: some of the simulated studies are, too.
@pytest.mark.parametrize("kind", ["normal", "skewed", "rare", "seeds", "skewed seeds", "crossed"])
def test_at_the_margin_at_most_one_study_in_twenty_says_equivalent(kind):
    rng, studies = np.random.default_rng(7), 600
    said = sum(judge([_study(kind, 0.02 * rng.choice([-1, 1]), rng)], 0.02)[0].outcome == "equivalent"
               for _ in range(studies))  # fmt: skip
    assert said / studies <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / studies), said / studies


def test_at_the_margin_cases_taken_for_independent_would_say_it_too_often():
    rng = np.random.default_rng(7)
    said = [_differences("seeds", 0.02, rng)[0] for _ in range(300)]
    assert np.mean([judge([paired(d, bootstrap=FEW)], 0.02)[0].outcome == "equivalent" for d in said]) > 0.1


def test_no_difference_is_found_equivalent_as_often_as_the_power_says():
    rng, studies, n, sd, margin = np.random.default_rng(11), 400, 12, 0.025, 0.02
    said = [judge([paired(rng.normal(0, sd, n), bootstrap=FEW)], margin)[0] for _ in range(studies)]
    # P(both tests reject), over the SD that is seen: Phillips (1990), by simulation of (mean, SD) alone.
    means, sds = rng.normal(0, sd / np.sqrt(n), 200_000), sd * np.sqrt(rng.chisquare(n - 1, 200_000) / (n - 1))
    power = np.mean(np.abs(means) + scipy_stats.t.ppf(0.95, n - 1) * sds / np.sqrt(n) < margin)
    by_t = np.mean([one.p_equivalent < 0.05 for one in said])
    assert by_t == pytest.approx(power, abs=2.6 * np.sqrt(power * (1 - power) / studies))
    assert np.mean([one.outcome == "equivalent" for one in said]) > by_t - 0.1, "what the bootstrap costs"
    many = [judge([paired(rng.normal(0, 0.05, 300), bootstrap=FEW)], margin)[0].outcome for _ in range(60)]
    assert many.count("equivalent") >= 59


def test_no_difference_is_seldom_called_one():
    rng = np.random.default_rng(13)
    said = [judge([_study("seeds", 0.0, rng)], 1e-6)[0].outcome for _ in range(400)]
    assert np.mean([one in ("better", "worse") for one in said]) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)


def _differences(kind, mean, rng):
    """Simulated differences with that true mean, their cases, and their seeds."""
    cases, seeds = 40, 6
    if kind == "normal":
        return rng.normal(mean, 0.03, cases), None, None
    if kind in ("skewed", "rare"):  # a fifth or a tenth of the cases carries the difference
        cases, share = (cases, 0.2) if kind == "skewed" else (100, 0.1)
        return np.where(rng.random(cases) < share, mean / share, 0) * rng.gamma(4, 0.25, cases), None, None
    run = np.repeat(np.arange(seeds), cases)
    noise = rng.normal(0, 0.012, seeds)[run] + rng.normal(0, 0.02, seeds * cases)
    if kind == "skewed seeds":
        return np.where(rng.random(len(run)) < 0.2, 5 * mean, 0) + rng.normal(0, 0.005, seeds)[run], None, run
    if kind == "crossed":
        case = np.tile(np.arange(cases), seeds)
        return mean + noise + rng.normal(0, 0.03, cases)[case], case, run
    return mean + noise, None, run


def _study(kind, mean, rng):
    return paired(*_differences(kind, mean, rng), FEW)
