"""Shares and their differences against statsmodels, closed forms, full enumeration and simulation."""

from itertools import product
from math import comb

import numpy as np
import pytest

from vesalius.bench.stats.proportions import effective_n, mcnemar, paired, share, sign_flip, wilson


# statsmodels 0.15.0: proportion_confint(k, n, method="wilson")
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.27753279986288926),
        (8, 10, 0.49016247153664183, 0.9433178485456247),
        (10, 10, 0.7224672001371106, 1.0),
        (1, 3, 0.06149194472039626, 0.7923403991979523),
        (612, 1494, 0.3849649092201851, 0.43477569255713444),
        (27, 944, 0.01973013569774629, 0.041294266940919214),
    ],
)
def test_wilsons_interval_is_statsmodels(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=1e-12)


def test_no_questions_have_no_interval():
    assert np.isnan(wilson(0, 0)).all()
    assert np.isnan(share(np.array([]))).all()


# statsmodels 0.15.0: mcnemar([[30, b], [c, 20]], exact=True).pvalue
@pytest.mark.parametrize(
    ("b", "c", "p"),
    [(10, 2, 0.03857421875), (0, 5, 0.0625), (7, 7, 1.0), (40, 22, 0.030015864349067285), (1, 0, 1.0)],
)
def test_mcnemar_is_statsmodels_exact_test(b, c, p):
    assert mcnemar(b, c) == pytest.approx(p, abs=1e-12)
    assert mcnemar(c, b) == mcnemar(b, c)


def test_mcnemar_is_the_binomial_sum_and_1_without_disagreement():
    n, k = 17, 4
    assert mcnemar(k, n - k) == pytest.approx(2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)
    assert mcnemar(0, 0) == 1.0


def test_the_effective_number_of_questions_by_hand():
    """Six questions in three pairs, right by pairs: p = 1/2, design effect 2, and t-quantiles of 5 and 2 degrees.

    Simple variance: 1/4 / 6 = 1/24. Totals of the clusters 1, −1, 0: variance 3/2 · 2 / 36 = 1/12. So n / 2 = 3
    questions, times (2.570582 / 4.302653)², from a table of Student's t.
    """
    values, clusters = np.array([1, 1, 0, 0, 1, 0.0]), np.array([0, 0, 1, 1, 2, 2])
    assert effective_n(values, clusters) == pytest.approx(3 * (2.570582 / 4.302653) ** 2, rel=1e-5)


def test_questions_of_their_own_count_fully_and_copies_hardly():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, 200).astype(float)
    assert effective_n(values, np.arange(200)) == 200
    copied = effective_n(np.repeat(values, 5), np.repeat(np.arange(200), 5))
    assert copied == pytest.approx(200, rel=0.03)  # a question asked five times is one question
    assert effective_n(np.ones(10), np.repeat(np.arange(5), 2)) == 5
    assert effective_n(values, np.zeros(200, int)) == 1


def test_clustered_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    plain = clustered = 0
    runs = 400
    for _ in range(runs):
        easy = rng.beta(0.7, 0.7, 60)  # an image makes all eight of its questions easy or hard; the mean is 1/2
        clusters = np.repeat(np.arange(60), 8)
        values = (rng.random(480) < np.repeat(easy, 8)).astype(float)
        _, low, high = share(values, clusters)
        clustered += low <= 0.5 <= high
        _, low, high = share(values)
        plain += low <= 0.5 <= high
    assert clustered / runs == pytest.approx(0.95, abs=0.035)
    assert plain / runs < 0.8  # what one gets who takes them for independent


def test_changes_of_sign_are_all_enumerated():
    rng = np.random.default_rng(2)
    for _ in range(5):
        clusters = rng.integers(0, 9, 25)
        clusters = np.unique(clusters, return_inverse=True)[1]
        differences = rng.choice([-1.0, 0.0, 0.0, 1.0, 0.5], 25)
        totals = [differences[clusters == c].sum() for c in range(clusters.max() + 1)]
        seen = abs(sum(totals))
        every = [abs(np.dot(signs, totals)) >= seen - 1e-9 for signs in product((-1, 1), repeat=len(totals))]
        assert sign_flip(differences, clusters) == pytest.approx(np.mean(every))


def test_random_changes_of_sign_come_near_the_exact_test_and_repeat():
    differences = np.array([1.0] * 19 + [-1.0] * 7 + [0.0] * 50)
    p = sign_flip(differences, np.arange(76))
    assert p == pytest.approx(mcnemar(19, 7), abs=0.008)  # unclustered, the two are the same test
    assert p == sign_flip(differences, np.arange(76))
    assert sign_flip(np.zeros(5), np.arange(5)) == 1.0
    assert sign_flip(np.ones(100), np.arange(100)) == 1 / 10_001


def test_paired_counts_differences_and_takes_the_fitting_test():
    first, second = np.array([1, 1, 1, 0, 0, 1.0]), np.array([1, 0, 0, 0, 1, 0.0])
    found = paired(first, second)
    assert (found["n"], found["only_first"], found["only_second"]) == (6, 3, 1)
    assert found["difference"] == pytest.approx(2 / 6)
    assert found["p"] == mcnemar(3, 1)
    clusters = np.array([0, 0, 1, 1, 2, 2])
    assert paired(first, second, clusters)["p"] == sign_flip(first - second, clusters)
    graded = np.array([1, 0.5, 1, 0, 0, 1])
    assert paired(graded, second)["p"] == sign_flip(graded - second, np.arange(6))
    swapped = paired(second, first)
    assert (swapped["difference"], swapped["p"]) == (-found["difference"], found["p"])


def test_the_interval_of_a_difference_is_the_textbooks():
    """n = 100, 20 against 10 disagreements: 0.1 ± 1.96 · √((b + c − (b − c)²/n) / n²), Agresti (2013), eq. 11.2.

    The sample variance divides by n − 1 where the textbook divides by n.
    """
    first = np.array([1] * 20 + [0] * 10 + [1] * 70, float)
    second = np.array([0] * 20 + [1] * 10 + [1] * 70, float)
    half = 1.959964 * np.sqrt((30 - 100 / 100) / 100**2) * np.sqrt(100 / 99)
    found = paired(first, second)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)


def test_the_detectable_difference_is_found_in_four_runs_of_five():
    """Simulated: models that differ by what `detectable` says are told apart in about 80 %."""
    rng = np.random.default_rng(3)
    n, disagree = 800, 0.3

    def models(difference: float) -> tuple[np.ndarray, np.ndarray]:
        kinds = rng.choice(3, n, p=[(disagree + difference) / 2, (disagree - difference) / 2, 1 - disagree])
        same = rng.integers(0, 2, n)
        return np.where(kinds == 2, same, kinds == 0).astype(float), np.where(kinds == 2, same, kinds == 1).astype(
            float
        )

    detectable = paired(*models(0.0))["detectable"]
    assert detectable == pytest.approx((1.959964 + 0.841621) * np.sqrt(disagree / n), rel=0.1)
    found = np.mean([paired(*models(detectable))["p"] < 0.05 for _ in range(400)])
    assert found == pytest.approx(0.8, abs=0.08)


def test_models_that_never_disagree_have_no_interval_of_width_zero():
    found = paired(np.array([1.0, 0, 1]), np.array([1.0, 0, 1]))
    assert (found["difference"], found["p"]) == (0, 1)
    assert np.isnan([found["ci_low"], found["ci_high"], found["detectable"]]).all()
