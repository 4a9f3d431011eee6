"""How the generalists of a study learned: the DSC on validation cases on the way, seed by seed, as table and picture.

A comparison with a generalist that was still learning would say nothing of experts. Leaves training to the recipes.
"""

from collections.abc import Mapping
from pathlib import Path

import altair as alt
import polars as pl

from vesalius.pages.charts import FIGURE_WIDTH, design, fill, save
from vesalius.run import replacing


def write_plateau(generalists: Mapping[int, Path], clicks: int, out: Path) -> pl.DataFrame:
    """Writes `plateau.csv`, `.svg` and `.png`.

    Args:
        generalists: folder of each seed's generalist, as `vesalius train` left it.
        clicks: after how many the DSC is shown.
        out: folder.

    Returns:
        seed, step, dsc: the mean over structures.
    """
    curves = [_curve(folder / "losses.csv", f"eval_dsc@{clicks}", seed) for seed, folder in generalists.items()]
    table = pl.concat(curves)
    with replacing(out / "plateau.csv") as part:
        table.write_csv(part)
    mean = table.group_by("step", maintain_order=True).agg(pl.col("dsc").mean())
    data = {"seeds": table.to_dicts(), "mean": mean.to_dicts()}
    save(
        fill(_design(clicks), data, {}), out / "plateau", f"The generalists' way to their plateau, {len(curves)} seeds"
    )
    return table


def _curve(losses: Path, column: str, seed: int) -> pl.DataFrame:
    rows = pl.read_csv(losses, infer_schema_length=None).filter(pl.col(column).is_not_null())
    return rows.select(pl.lit(seed).alias("seed"), "step", pl.col(column).cast(pl.Float64).alias("dsc"))


def _design(clicks: int) -> str:
    step = alt.X("step:Q", title="steps")
    dsc = alt.Y(
        "dsc:Q",
        title=f"DSC on validation cases, {clicks} clicks",
        scale=alt.Scale(zero=False),
        axis=alt.Axis(grid=True),
    )
    seeds = alt.Chart(alt.NamedData("seeds"), width=FIGURE_WIDTH, height=240).mark_line(style="muted", strokeWidth=1)
    mean = alt.Chart(alt.NamedData("mean")).mark_line(style="accent", strokeWidth=3, point=True)
    return design(alt.layer(seeds.encode(step, dsc, detail="seed:N"), mean.encode(step, dsc)))
