"""Each statistic against its closed form or scipy."""

import numpy as np
import polars as pl
import pytest
from scipy import stats as scipy_stats

from vesalius.bench import stats
from vesalius.bench.stats.pairwise import benjamini_hochberg
from vesalius.bench.stats.ranking import kendall
from vesalius.bench.stats.resample import weighted_means, weighted_medians
from vesalius.errors import VesaliusError
from vesalius.records import SCORE_SCHEMA


def scores(rows: list[tuple], metric: str = "dsc") -> pl.DataFrame:
    """Rows of (model, case, target, value[, status])."""
    records = [
        {
            "benchmark": "",
            "model": m,
            "case": c,
            "metric": metric,
            "target": t,
            "value": v,
            "status": s[0] if s else "ok",
        }
        for m, c, t, v, *s in rows
    ]
    return pl.DataFrame(records, schema=SCORE_SCHEMA)


def table(values: np.ndarray, metric: str = "dsc") -> stats.Cube:
    """A cube of models × cases with one target; NaN: no row."""
    rows = [
        (f"m{m}", f"c{c:03d}", "liver", float(v)) for m, row in enumerate(values) for c, v in enumerate(row) if v == v
    ]
    return stats.cubes(scores(rows, metric), "ignore")[metric]


@pytest.mark.parametrize("n", [1, 5, 10, 13, 14, 50, 51, 200])
@pytest.mark.parametrize("kind", ["plain", "ties", "zeros", "holes"])
def test_wilcoxon_is_scipys(n, kind):
    rng = np.random.default_rng(n)
    d = rng.normal(0.1, 1, (6 if n != 13 else 1, n))  # scipy takes a second for each of all 8,192 changes of sign
    if kind == "ties":
        d = np.round(d, 1)
        d[d == 0] = 0.1
    if kind == "zeros":
        d[rng.random(d.shape) < 0.2] = 0
    if kind == "holes":
        d[rng.random(d.shape) < 0.3] = np.nan
        d[:, 0] = 0.5
    p, effect = stats.wilcoxon_greater(d)
    for i, row in enumerate(d):
        row = row[~np.isnan(row)]
        if not row.any():
            assert p[0, i] == p[1, i] == 1 and effect[i] == 0
            continue
        for side, alternative in enumerate(("greater", "less")):
            expected = scipy_stats.wilcoxon(row, alternative=alternative, zero_method="wilcox", method="auto").pvalue
            assert p[side, i] == pytest.approx(expected, abs=1e-12)


def test_wilcoxon_of_zeros_or_of_nothing_is_one():
    p, effect = stats.wilcoxon_greater(np.array([[0.0] * 60, [np.nan] * 60]))
    assert (p == 1).all() and (effect == 0).all()


def test_effect_is_one_where_every_case_is_won():
    cube = table(np.array([np.linspace(0.5, 0.9, 20), np.linspace(0.4, 0.8, 20)]))
    rows = stats.pairwise(cube).filter(pl.col("target") == "liver")
    assert rows.sort("effect")["effect"].to_list() == [-1, 1]
    assert rows.filter("significant").select("better", "worse").rows() == [("m0", "m1")]


def test_better_means_lower_for_distances_and_smaller_for_signed_differences():
    low, high = np.linspace(1, 2, 20), np.linspace(3, 4, 20)
    for metric, values in (("hd95", [low, high]), ("volume_difference", [-low, high])):
        rows = stats.pairwise(table(np.array(values), metric)).filter("significant")
        assert set(rows["better"]) == {"m0"}


def test_holm_and_benjamini_hochberg_by_hand_and_by_scipy():
    assert stats.holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    p = np.random.default_rng(0).random(30) ** 3
    assert benjamini_hochberg(p) == pytest.approx(scipy_stats.false_discovery_control(p, method="bh"))


def test_weights_give_what_copies_give():
    rng = np.random.default_rng(1)
    values = rng.random((3, 25))
    values[1, :5] = np.nan
    weights = stats.Bootstrap(50, 3).weights(np.ones(25, dtype=bool))
    assert (weights.sum(axis=1) == 25).all()
    means, medians = weighted_means(weights, values), weighted_medians(weights, values)
    for b in range(50):
        copies = np.repeat(values, weights[b], axis=1)
        assert means[b] == pytest.approx(np.nanmean(copies, axis=1))
        assert medians[b] == pytest.approx(np.nanmedian(copies, axis=1))


def test_each_replicate_has_its_own_seed():
    every = np.ones(40, dtype=bool)
    assert (stats.Bootstrap(100, 7).weights(every) == stats.Bootstrap(300, 7).weights(every)[:100]).all()
    assert (stats.Bootstrap(100, 7).weights(every) != stats.Bootstrap(100, 8).weights(every)).any()


def test_patients_are_drawn_as_a_whole():
    clusters = ("a", "a", "b", "b", "b", None, None)
    weights = stats.Bootstrap(200, 0, clusters).weights(np.ones(7, dtype=bool)).astype(int)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 5, 6]].sum(axis=1) == 4).all()


def test_bootstrap_interval_meets_the_normal_one():
    values = np.random.default_rng(5).normal(0.7, 0.1, (1, 400))
    row = stats.summary(table(values), stats.Bootstrap(4000, 1)).row(0, named=True)
    half = 1.96 * values.std() / 20
    assert row["ci_low"] == pytest.approx(values.mean() - half, abs=0.0015)
    assert row["ci_high"] == pytest.approx(values.mean() + half, abs=0.0015)


def test_summary_has_population_sd_and_counts_what_is_missing():
    frame = scores([
        ("a", "1", "liver", 0.2), ("a", "2", "liver", 0.8), ("a", "1", "spleen", 0.6), ("b", "1", "liver", 0.5),
        ("a", "3", "liver", 0.0, "missed"), ("a", "3", "spleen", None, "hallucinated"), ("b", "1", "spleen", 0.5),
    ])  # fmt: skip
    rows = {
        (r["model"], r["target"]): r
        for r in stats.summary(stats.cubes(frame)["dsc"], stats.Bootstrap(100)).iter_rows(named=True)
    }
    assert rows["a", "liver"]["sd"] == pytest.approx(np.std([0.2, 0.8, 0.0]))
    assert (rows["a", "liver"]["n"], rows["a", "liver"]["n_missed"]) == (3, 1)
    assert rows["a", "spleen"]["n_false_positive"] == 1
    assert (rows["b", "liver"]["n"], rows["b", "liver"]["missing"]) == (1, 2)
    assert rows["a", "average"]["mean"] == pytest.approx(np.mean([0.4, 0.8, 0.0]))
    assert rows["b", "average"]["missing"] == 2


def test_worst_gives_absent_and_failed_predictions_the_worst_value():
    rows = [
        ("a", "1", "liver", 0.9),
        ("a", "2", "liver", 0.8),
        ("b", "1", "liver", 0.7),
        ("b", "3", "liver", 0.0, "failed"),
    ]
    ignored, worst = (stats.cubes(scores(rows), rule)["dsc"] for rule in ("ignore", "worst"))
    assert ignored.values[1, :, 0].tolist() == pytest.approx([0.7, np.nan, np.nan], nan_ok=True)
    assert worst.values[1, :, 0].tolist() == [0.7, 0, 0]
    assert worst.values[0, 2, 0] == 0, "that b failed on case 3 shows that the liver is there"


def test_a_structure_absent_from_the_reference_is_not_held_against_a_failed_prediction():
    rows = [
        ("a", "1", "liver", 0.9, "ok"),
        ("a", "1", "spleen", None, "both_empty"),
        ("b", "1", "liver", 0.0, "failed"),
        ("b", "1", "spleen", None, "failed"),
    ]
    cube = stats.cubes(scores(rows), "worst")["dsc"]
    assert np.isnan(cube.values[1, 0, cube.targets.index("spleen")])
    assert cube.values[1, 0, cube.targets.index("average")] == 0.0
    assert cube.count("failed")[1].tolist() == [1, 1, 1], "one case failed, whatever it lacks"


def test_anothers_hallucination_is_not_held_against_a_failed_prediction():
    rows = [
        ("a", "1", "liver", 5.0, "hallucinated"),
        ("a", "1", "spleen", -1.0, "ok"),
        ("b", "1", "liver", None, "failed"),
        ("b", "1", "spleen", -90.0, "failed"),
        ("c", "1", "spleen", 2.0, "ok"),
    ]
    cube = stats.cubes(scores(rows, "volume_difference"), "worst")["volume_difference"]
    liver = cube.targets.index("liver")
    assert np.isnan(cube.values[1:, 0, liver]).all()


def test_an_absent_signed_value_has_the_sign_of_an_empty_prediction():
    rows = [("a", "1", "liver", -30.0), ("a", "2", "liver", 40.0), ("b", "1", "liver", 3.0)]
    cube = stats.cubes(scores(rows, "volume_difference"), "worst")["volume_difference"]
    assert cube.values[1, 1, 0] == -40.0


def test_a_failed_prediction_of_which_nothing_is_known_is_worst():
    cube = stats.cubes(scores([("a", "1", "liver", None, "failed"), ("a", "2", "liver", 0.8, "ok")]), "worst")["dsc"]
    assert cube.values[0, :, 0].tolist() == [0.0, 0.8]


def test_a_distance_without_fixed_worst_takes_the_largest_seen():
    rows = [
        ("a", "1", "liver", 3.0),
        ("a", "2", "liver", 12.0),
        ("b", "1", "liver", 5.0),
        ("b", "2", "liver", None, "missed"),
    ]
    cube = stats.cubes(scores(rows, "hd95"), "worst")["hd95"]
    assert cube.values[1, 1, 0] == 12.0


def test_a_structure_that_nobody_has_is_nobodys_miss():
    rows = [("a", "1", "liver", None, "both_empty"), ("a", "2", "liver", 0.5), ("b", "2", "liver", 0.5)]
    cube = stats.cubes(scores(rows), "worst")["dsc"]
    assert np.isnan(cube.values[:, 0, 0]).all()


def test_unscorable_references_judge_nobody():
    rows = [("a", "1", "liver", 0.0, "unscorable"), ("a", "2", "liver", 0.5), ("b", "2", "liver", 0.5)]
    assert np.isnan(stats.cubes(scores(rows), "worst")["dsc"].values[:, 0, 0]).all()


def test_ties_share_the_mean_rank_and_the_first_place():
    values = np.array([[0.5, 0.7, 0.9], [0.5, 0.7, 0.9], [0.1, 0.2, 0.3]])
    ranks, stability, places = stats.ranking(table(values), stats.Bootstrap(200))
    ranks = ranks.filter(pl.col("target") == "liver")
    assert ranks["rank"].to_list() == [1.5, 1.5, 3]
    assert ranks["p_first"].to_list() == pytest.approx([0.5, 0.5, 0])
    assert (ranks["rank_low"].to_list(), ranks["rank_high"].to_list()) == ([1.5, 1.5, 3], [1.5, 1.5, 3])
    assert stability["tau"][0] == pytest.approx(1)
    assert places.group_by("model", "target").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1] * 6)


def test_ranks_may_go_by_the_median():
    values = np.array([[0.8, 0.8, 0.0], [0.7, 0.7, 0.7]])
    by = {
        rule: stats.ranking(table(values), stats.Bootstrap(100), rule)[0]["rank"].to_list()[:2]
        for rule in ("mean", "median")
    }
    assert by == {"mean": [2, 1], "median": [1, 2]}


def test_kendall_is_scipys():
    rng = np.random.default_rng(2)
    drawn = rng.integers(1, 6, (20, 8)).astype(float)
    full = np.array([1, 2, 3, 4, 5.5, 5.5, 7, 8])
    expected = [scipy_stats.kendalltau(row, full).statistic for row in drawn]
    assert kendall(drawn, full) == pytest.approx(expected)


def test_rules_agree_with_themselves_and_count_wins():
    values = np.linspace(0.2, 0.9, 4)[:, None] + np.random.default_rng(0).normal(0, 0.01, (4, 30))
    cube = table(values)
    rules, taus = stats.agreement(cube, stats.pairwise(cube))
    assert rules.filter(pl.col("target") == "liver")["wins"].to_list() == [4, 3, 2, 1]
    assert taus["tau"].to_list() == pytest.approx([1] * taus.height)


def test_groups_are_scipys_tests_behind_a_gate():
    rng = np.random.default_rng(4)
    labels = ["x"] * 20 + ["y"] * 20 + ["z"] * 9 + [None] * 2
    values = rng.random((1, 51))
    values[0, :20] += 0.5
    metadata = pl.DataFrame({"case": [f"c{c:03d}" for c in range(51)], "site": labels})
    (factor,) = stats.factors("site", metadata)
    assert factor.unknown == 2
    rows = stats.groups(table(values), factor).filter((pl.col("model") == "m0") & (pl.col("target") == "liver"))
    x, y = values[0, :20], values[0, 20:40]
    h, _ = scipy_stats.kruskal(x, y)
    assert rows["test"].to_list() == ["kruskal_wallis", "mann_whitney"], "z has fewer than ten"
    assert rows.row(0, named=True)["statistic"] == pytest.approx(h)
    test = scipy_stats.mannwhitneyu(x, y)
    last = rows.row(1, named=True)
    assert (last["statistic"], last["p"], last["p_adjusted"]) == pytest.approx(
        (test.statistic, test.pvalue, test.pvalue)
    )
    assert last["effect"] == pytest.approx(np.mean(np.sign(x[:, None] - y[None, :])))
    shut = stats.groups(table(np.tile(y, (1, 2))), stats.factors("site", metadata[:40])[0])
    assert set(shut["test"]) == {"kruskal_wallis"}
    means = stats.group_means(table(values), factor).filter((pl.col("model") == "average algorithm") & pl.col("worst"))
    assert set(means["group"]) == {"y"}


def test_numbers_are_binned_and_text_cannot_be():
    metadata = pl.DataFrame({"case": list("abcd"), "age": [50.0, 59.9, 60.0, None], "site": ["A", "B", "A", "A"]})
    (age,) = stats.factors("age:10", metadata)
    assert age.levels == ("50–59", "60–69") and age.codes.tolist() == [0, 0, 1, -1]
    for spec, words in (("site:10", "not all numbers"), ("age:x", "bin width"), ("race", "unknown column race")):
        with pytest.raises(VesaliusError, match=words):
            stats.factors(spec, metadata)


def test_gap_is_in_minus_out_and_its_interval_meets_the_normal_one():
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0.9, 0.02, (1, 60)), rng.normal(0.7, 0.02, (1, 60))], axis=1)
    inside = np.arange(120) < 60
    row = stats.gap(table(values), inside, ~inside, stats.Bootstrap(500)).row(0, named=True)
    assert row["gap"] == pytest.approx(values[0, :60].mean() - values[0, 60:].mean())
    half = 1.96 * 0.02 * np.sqrt(2 / 60)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((row["gap"] - half, row["gap"] + half), abs=0.002)
    assert row["p"] == pytest.approx(scipy_stats.mannwhitneyu(values[0, :60], values[0, 60:]).pvalue)
    assert (row["n_in"], row["n_out"], row["effect"]) == (60, 60, 1)


def test_an_unknown_metric_lists_those_there_are():
    with pytest.raises(VesaliusError, match="metrics are: dsc"):
        stats.cubes(scores([("a", "1", "liver", 0.5)]), "ignore", ["nsd"])
