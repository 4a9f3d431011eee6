"""In which order, and how surely: ranks, their bootstrap intervals, and whether other rules agree.

Sets of cases: `rank` is of each model's own cases (the order of the summary); everything from the bootstrap, and every
rule that is compared with another, is of the cases that all models share. Ties share the mean rank.
"""

from itertools import combinations
from typing import Literal

import numpy as np
import polars as pl

from vesalius.bench.stats.resample import Bootstrap, interval, weighted_means, weighted_medians
from vesalius.bench.stats.table import Cube

RankBy = Literal["mean", "median"]
RULES = {
    "mean": "rank of the mean",
    "median": "rank of the median",
    "case_ranks": "mean of the ranks within each case",
    "wins": "number of significant wins",
}


def ranking(
    cube: Cube, bootstrap: Bootstrap, rank_by: RankBy = "mean"
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Ranks and their stability.

    Returns:
        ranking: `metric, target, model, rank, rank_low, rank_high, p_first, rank_shared, n_shared`; `rank_low` and
            `rank_high` are the 2.5th and 97.5th percentile over the replicates, `p_first` the share of replicates
            that the model leads (ties share it).
        stability: `metric, target, n_shared, tau, tau_low, tau_high`: Kendall's τ-b of the bootstrap rankings with
            the ranking of all shared cases: mean and percentiles.
        places: `metric, target, model, place, share`: how often each model took each place.
    """
    ranks, stability, places = [], [], []
    weights = bootstrap.weights(np.ones(len(cube.cases), dtype=bool))
    centre = weighted_medians if rank_by == "median" else weighted_means
    one = np.ones((1, len(cube.cases)), dtype=np.uint16)
    for t, target in enumerate(cube.targets):
        shared = cube.shared(t)
        own = _rank(centre(one, cube.quality[:, :, t]))[0]
        full = _rank(centre(one[:, shared], cube.quality[:, shared, t]))[0]
        drawn = _rank(centre(weights[:, shared], cube.quality[:, shared, t]))
        low, high = interval(drawn)
        leads = drawn == np.nanmin(np.where(np.isnan(drawn), np.inf, drawn), axis=1, keepdims=True)
        first = (leads / np.maximum(leads.sum(axis=1, keepdims=True), 1)).mean(axis=0)
        first = np.where(np.isnan(full), np.nan, first)
        key = {"metric": cube.metric.name, "target": target}
        ranks.append(
            pl.DataFrame(
                key
                | {"model": cube.models, "rank": own, "rank_low": low, "rank_high": high, "p_first": first}
                | {"rank_shared": full, "n_shared": int(shared.sum())}
            )
        )
        tau = kendall(drawn, full)
        tau_low, tau_high = interval(tau)
        tau_mean = float(np.nanmean(tau)) if not np.isnan(tau).all() else np.nan
        stability.append(
            key
            | {"n_shared": int(shared.sum()), "tau": tau_mean, "tau_low": float(tau_low), "tau_high": float(tau_high)}
        )
        for m, model in enumerate(cube.models):
            place, count = np.unique(drawn[:, m][~np.isnan(drawn[:, m])], return_counts=True)
            places += [
                key | {"model": model, "place": float(p), "share": c / len(drawn)}
                for p, c in zip(place, count, strict=True)
            ]
    schema = {"metric": pl.String, "target": pl.String, "model": pl.String, "place": pl.Float64, "share": pl.Float64}
    return pl.concat(ranks).fill_nan(None), pl.DataFrame(stability).fill_nan(None), pl.DataFrame(places, schema=schema)


def agreement(cube: Cube, wins: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ranks by several rules on the cases that all models share, and how far they agree.

    Args:
        cube: the scores.
        wins: `pairwise(cube)`; its significant rows are counted for the rule "wins" (on the cases of each pair).

    Returns:
        rules: `metric, target, model` and a column of ranks for each of `RULES`.
        taus: `metric, target, rule_a, rule_b, tau` (Kendall's τ-b).
    """
    won = wins.filter("significant").group_by("target", "better").len()
    counts = {(row["target"], row["better"]): row["len"] for row in won.iter_rows(named=True)}
    rules, taus = [], []
    one = np.ones((1, len(cube.cases)), dtype=np.uint16)
    for t, target in enumerate(cube.targets):
        shared = cube.shared(t)
        quality = cube.quality[:, shared, t]
        within = _rank(quality.T)
        number = np.array([[counts.get((target, model), 0) for model in cube.models]], dtype=float)
        ranks = {
            "mean": _rank(weighted_means(one[:, shared], quality))[0],
            "median": _rank(weighted_medians(one[:, shared], quality))[0],
            "case_ranks": _rank(
                -within.mean(axis=0, keepdims=True) if len(within) else np.full((1, len(cube.models)), np.nan)
            )[0],
            "wins": _rank(number)[0],
        }
        key = {"metric": cube.metric.name, "target": target}
        rules.append(pl.DataFrame(key | {"model": cube.models} | ranks))
        taus += [
            key | {"rule_a": a, "rule_b": b, "tau": float(kendall(ranks[a][None], ranks[b])[0])}
            for a, b in combinations(RULES, 2)
        ]
    return pl.concat(rules).fill_nan(None), pl.DataFrame(taus).fill_nan(None)


def _rank(quality: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 for the highest, ties sharing the mean rank, NaN for NaN."""
    quality = np.round(quality, 12)  # the order of a sum must not part what is equal
    better = (quality[..., None, :] > quality[..., :, None]).sum(axis=-1)
    equal = (quality[..., None, :] == quality[..., :, None]).sum(axis=-1)
    return np.where(np.isnan(quality), np.nan, better + (equal + 1) / 2)


def kendall(rankings: np.ndarray, full: np.ndarray) -> np.ndarray:
    """Kendall's τ-b of each of `rankings` (n × models) with `full` (models); NaN models take no part."""
    known = ~np.isnan(full)
    i, j = np.triu_indices(int(known.sum()), 1)
    if not len(i):
        return np.full(len(rankings), np.nan)
    ours = np.sign(rankings[:, known][:, i] - rankings[:, known][:, j])
    theirs = np.sign(full[known][i] - full[known][j])
    size = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum())
    return np.divide((ours * theirs).sum(axis=1), size, out=np.full(len(rankings), np.nan), where=size > 0)
