"""Do the demo's findings hold for other patients? The whole of it for several seeds, as a Markdown table.

    .venv/bin/python side_by_side/phantom_seeds.py --seeds 101 102 103 104 105 --out seeds/

For each seed: hospitals, segmenters, predictions, scores (no report). Mean DSC over test cases, each the mean over the
structures it has; a missed structure counts 0. Goes on where it was stopped.
"""

import argparse
from pathlib import Path

import polars as pl

from vesalius.cli.demo_steps import IN_DISTRIBUTION, Demo
from vesalius.select import where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103, 104, 105])
    parser.add_argument("--out", type=Path, default=Path("seeds"))
    arguments = parser.parse_args()
    found = [means(run(seed, arguments.out / str(seed))).with_columns(seed=pl.lit(seed)) for seed in arguments.seeds]
    print(markdown(pl.concat(found)))


def run(seed: int, out: Path) -> pl.DataFrame:
    """Scores of a seed, with the hospital of each case."""
    demo = Demo(out, seed)
    demo.make_hospitals()
    demo.fit_models()
    demo.predict()
    demo.score()
    patients = pl.read_csv(out / "patients.csv")
    inside = where(patients, IN_DISTRIBUTION)["case"]
    dsc = pl.read_parquet(demo.scores).filter(metric="dsc")
    return dsc.with_columns(inside=pl.col("case").is_in(inside.implode()), site=pl.col("case").str.head(1))


def means(scores: pl.DataFrame) -> pl.DataFrame:
    """`model, inside, outside, D, E`: means over cases of per-case means."""
    cases = scores.drop_nulls("value").group_by("model", "case", "inside", "site").agg(pl.col("value").mean())
    value = pl.col("value")
    return cases.group_by("model").agg(
        inside=value.filter("inside").mean(),
        outside=value.filter(~pl.col("inside")).mean(),
        D=value.filter(site="D").mean(),
        E=value.filter(site="E").mean(),
    )


def markdown(found: pl.DataFrame) -> str:
    """One row a seed and model, in the order of hospitals A to C; then the means over seeds."""
    ranked = found.with_columns(
        first=pl.col("inside").rank(descending=True).over("seed"),
        then=pl.col("outside").rank(descending=True).over("seed"),
    ).sort("seed", "first")
    mean = found.group_by("model").agg(pl.exclude("seed").mean()).sort("inside", descending=True)
    lines = ["| seed | model | A–C | D and E | lost | D | E | rank in A–C | rank in D, E |", "|---" * 9 + "|"]
    for row in [*ranked.to_dicts(), *mean.to_dicts()]:
        shares = (row["inside"], row["outside"], row["inside"] - row["outside"], row["D"], row["E"])
        ranks = [f"{row[key]:.0f}" if key in row else "" for key in ("first", "then")]
        cells = [str(row.get("seed", "mean")), row["model"], *(f"{100 * v:.1f}" for v in shares), *ranks]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
