"""The published benchmark's numbers from its real per-case results, and an independent computation beside ours."""

import csv
import statistics
from itertools import permutations

import numpy as np
import polars as pl
import pytest
from scipy.stats import wilcoxon

from vesalius.bench import stats
from vesalius.bench.stats.table import AVERAGE
from vesalius.formats.metadata import read_metadata
from vesalius.formats.score_tables import read_scores
from vesalius.select import where


@pytest.fixture(scope="module")
def touchstone(shared_data):
    return shared_data / "touchstone"


@pytest.fixture(scope="module")
def tables(touchstone):
    return read_scores([touchstone / "totalsegmentator_results"])


def cubes(tables, touchstone, condition):
    frame = tables.frame
    if condition:
        metadata = read_metadata(touchstone / "metaTotalSeg.csv", sorted(set(frame["case"])))
        assert str(metadata) == "743 of 743 cases matched on image_id"
        frame = frame.filter(pl.col("case").is_in(where(metadata.frame, condition)["case"].to_list()))
    return stats.cubes(frame, tables.default_missing)


def plainly(touchstone, metric, condition):
    """model → case → target → value, with nothing but the csv module."""
    keep = None
    if condition:
        column, value = condition.split("=")
        with open(touchstone / "metaTotalSeg.csv", encoding="utf-8-sig") as file:
            keep = {row["image_id"] for row in csv.DictReader(file, delimiter=";") if row[column] == value}
    found = {}
    for path in sorted((touchstone / "totalsegmentator_results").glob(f"*/{metric}.csv")):
        with open(path) as file:
            rows = {row.pop("name"): row for row in csv.DictReader(file)}
        values = {c: {t: float(v) for t, v in row.items() if v} for c, row in rows.items() if keep is None or c in keep}
        for row in values.values():
            if row:
                row[AVERAGE] = statistics.fmean(row.values())
        found[path.parent.name] = values
    return found


def test_every_cell_of_the_published_table_comes_out(tables, touchstone):
    assert tables.default_missing == "ignore"
    rows = stats.summary(cubes(tables, touchstone, None)["dsc"], stats.Bootstrap(100))
    ours = {(r["model"], r["target"]): f"{100 * r['mean']:.1f}±{100 * r['sd']:.1f}" for r in rows.iter_rows(named=True)}
    with open(touchstone / "paper_table3_totalsegmentator_dsc.csv") as file:
        table = {row.pop("folder"): row for row in csv.DictReader(file)}
    published = {(m, t): cell for m, row in table.items() for t, cell in row.items() if t != "params_M"}
    assert len(published) == 190
    assert {key: ours[key] for key in published} == published
    lacking = rows.filter(pl.col("target") == AVERAGE).filter(pl.col("missing") > 0)
    assert dict(lacking.select("model", "missing").rows()) == {"nnU-Net_STU-Net_L": 87, "nnU-Net_STU-Net_H": 87}


@pytest.mark.parametrize("condition", [None, "split=test"])
@pytest.mark.parametrize("metric", ["dsc", "nsd"])
def test_significant_pairs_and_medians_are_those_of_a_plain_computation(tables, touchstone, metric, condition):
    cube = cubes(tables, touchstone, condition)[metric]
    plain = plainly(touchstone, metric, condition)
    pairs = stats.pairwise(cube)
    ranking, _, _ = stats.ranking(cube, stats.Bootstrap(100), "median")
    for target in cube.targets:
        values = {m: {c: row[target] for c, row in cases.items() if target in row} for m, cases in plain.items()}
        p = {}
        for a, b in permutations(values, 2):
            d = np.array([values[a][case] - values[b][case] for case in values[a] if case in values[b]])
            p[a, b] = wilcoxon(d, alternative="greater", zero_method="wilcox", method="auto").pvalue if d.any() else 1.0
        adjusted, running = {}, 0.0
        for i, key in enumerate(sorted(p, key=p.__getitem__)):
            running = max(running, min(1.0, (len(p) - i) * p[key]))
            adjusted[key] = running
        ours = pairs.filter(pl.col("target") == target)
        assert len(p) == ours.height == 342
        for row in ours.iter_rows(named=True):
            key = row["better"], row["worse"]
            assert row["p"] == pytest.approx(p[key], abs=1e-12)
            assert row["significant"] == (adjusted[key] < 0.05)
        if (metric, condition, target) == ("dsc", "split=test", "gall_bladder"):
            assert ours["significant"].sum() == 51
        medians = {m: statistics.median(v.values()) for m, v in values.items()}
        expected = {
            m: sum(o > x for o in medians.values()) + (sum(o == x for o in medians.values()) + 1) / 2
            for m, x in medians.items()
        }
        assert dict(ranking.filter(pl.col("target") == target).select("model", "rank").rows()) == expected


def test_split_test_keeps_59_cases_12_without_any_organ(tables, touchstone):
    cube = cubes(tables, touchstone, "split=test")["dsc"]
    assert len(cube.cases) == 59
    assert int(np.isnan(cube.values[:, :, -1]).all(axis=0).sum()) == 12
    t = cube.targets.index("gall_bladder")
    assert int((~np.isnan(cube.values[:, :, t])).any(axis=0).sum()) == 20
