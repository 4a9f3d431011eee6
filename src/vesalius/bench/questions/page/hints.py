"""Whether a model does better with the options in the order that was published: a sign that it has met them.

Knows one test alone. It needs circular evaluation: the same question in every order. A model that reasons does not care
about the order; one that remembers the published text does («Training on the Benchmark Is Not All You Need», Ni et al.
2024, compares likelihoods over orders to the same end). A liking for certain places is no memory: the published order
is compared with turned ones *at the same place of the right option*.
"""

import polars as pl

from vesalius.bench.questions.page.facts import codes
from vesalius.bench.questions.runs import Judged
from vesalius.bench.stats.proportions import mean_difference

_MIN = 100  # questions


def published_order(judged: Judged, name: str) -> pl.DataFrame:
    """`model, n, difference, ci_low, ci_high` of models that were asked at least 100 questions in every order.

    The difference is the mean, over questions, of right or wrong in the published order minus the accuracy of turned
    orders whose right option stands at the same place. Models whose options were shuffled by a seed are left out.
    """
    benchmark = judged.benchmarks[name]
    shuffled = [m for m, said in benchmark.models.items() if said.get("settings", {}).get("option_seed") is not None]
    rows = judged.rows.filter(
        (pl.col("benchmark") == name) & (pl.col("repeat") == 0) & ~pl.col("model").is_in(shuffled)
    ).drop_nulls(["position", "correct"])  # fmt: skip
    turned = rows.filter(pl.col("rotation") > 0)
    usual = turned.group_by("model", "position").agg(pl.col("correct").mean().alias("turned"))
    first = rows.filter(pl.col("rotation") == 0).join(usual, on=["model", "position"])
    first = first.join(benchmark.cases.select("id", "cluster"), left_on="case", right_on="id")
    out = []
    for (model,), part in first.group_by("model", maintain_order=True):
        both = part.filter(pl.col("case").is_in(turned.filter(pl.col("model") == model)["case"].implode()))
        if both.height >= _MIN:
            difference = (both["correct"] - both["turned"]).to_numpy()
            out.append((model, both.height, *mean_difference(difference, codes(both["cluster"]))))
    names = {"model": pl.String, "n": pl.Int64, "difference": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64}
    return pl.DataFrame(out, schema=names, orient="row")
