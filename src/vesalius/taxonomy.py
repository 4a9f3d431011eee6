"""The lexical tree: which nodes a benchmark has, and which cases stand under each.

Knows columns of metadata as levels of a tree. A node is written as the path to it, `department=urology/modality=CT`,
which is also how a condition would say it; `all` is the root. Beside the paths of the tree, every value of every other
taxonomy column is a node of its own (`modality=CT`), so that a question "how good on CT" needs no tree.
"""

from collections.abc import Sequence

import polars as pl

from vesalius.errors import VesaliusError
from vesalius.select import snake_case

ROOT = "all"

# What the published files call the levels, in snake_case, and what we call them.
ALIASES = {
    "clinical_vqa_task": "task",
    "clinical_task": "task",
    "perceptual_granularity": "granularity",
    "granularity_level": "granularity",
    "image_modality": "modality",
    "clinical_department": "department",
}
# Levels in the order in which a tree grows where nobody says otherwise: GMAI-MMBench's own.
LEVELS = ("department", "task", "modality", "granularity", "broad_category", "narrow_category", "image_organ",
          "question_type", "l2_category", "category")  # fmt: skip
_NOT_TAXONOMY = {
    "id",
    "index",
    "letters",
    "problem",
    "explanation",
    "hint",
    "comment",
    "source",
    "position",
    "all_question_types",
}
_MOST_VALUES = 60  # more distinct values than that name cases, not classes


def with_aliases(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with our names beside the published ones, where they are free."""
    new = {ours: theirs for theirs, ours in ALIASES.items() if theirs in frame.columns and ours not in frame.columns}
    return frame.with_columns([pl.col(theirs).alias(ours) for ours, theirs in new.items()])


def taxonomy_columns(frame: pl.DataFrame, cluster: str | None = None) -> list[str]:
    """Columns that class the cases: text of a few values, several cases each."""
    out = []
    for name, dtype in frame.schema.items():
        if name in _NOT_TAXONOMY or name == cluster or name in ALIASES or dtype not in (pl.String, pl.Boolean):
            continue
        values = frame[name].n_unique() - (frame[name].null_count() > 0)
        if 1 <= values <= _MOST_VALUES and values * 2 <= max(frame.height, 2) and (values > 1 or name in LEVELS):
            out.append(name)
    return out


def levels(frame: pl.DataFrame, asked: Sequence[str] = (), usual: Sequence[str] = ()) -> list[str]:
    """The tree's columns from the root on: as asked for, as the layout usually has, or those of `LEVELS` that exist.

    Raises:
        VesaliusError: a column that was asked for is not there.
    """
    if asked:
        wanted = [snake_case(name) for name in asked]
        unknown = [name for name in wanted if name not in frame.columns]
        if unknown:
            remedy = f"columns are: {', '.join(frame.columns)}"
            raise VesaliusError(f"--tree names the unknown column {unknown[0]}", remedy=remedy, code="columns")
        return wanted
    usable = set(taxonomy_columns(frame))
    chosen: list[str] = []
    for name in [n for n in usual if n in usable] or [n for n in LEVELS if n in usable]:
        # GMAI's category and l2-category say again what task and department say.
        if not any(frame[name].equals(frame[other]) for other in chosen):
            chosen.append(name)
    return chosen


def nodes(frame: pl.DataFrame, tree: Sequence[str], others: Sequence[str] = ()) -> pl.DataFrame:
    """Which case stands under which node.

    Args:
        frame: `id` and the columns named.
        tree: levels from the root on.
        others: columns whose values are nodes beside the tree.

    Returns:
        `node, depth, id`: `all` (depth 0), every path of the tree (depth 1, 2, …), and every value of the others
        (depth 1). A case without a value stands under no node of that level, nor below it.
    """
    parts = [frame.select(pl.lit(ROOT).alias("node"), pl.lit(0).alias("depth"), "id")]
    known, names = pl.lit(True), []
    for depth, column in enumerate(tree, 1):
        names.append(pl.format("{}={}", pl.lit(column), pl.col(column)))
        known = known & pl.col(column).is_not_null()
        path = pl.concat_str(names, separator="/").alias("node")
        parts.append(frame.filter(known).select(path, pl.lit(depth).alias("depth"), "id"))
    for column in others:
        if column not in tree[:1]:
            name = pl.format("{}={}", pl.lit(column), pl.col(column)).alias("node")
            parts.append(frame.filter(pl.col(column).is_not_null()).select(name, pl.lit(1).alias("depth"), "id"))
    return pl.concat(parts).unique(maintain_order=True)
