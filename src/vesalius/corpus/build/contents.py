"""What is in a corpus: sites and what of each was left out, licences, languages, years, words and images a document.

Counted by Daft from the shards and `dropped.parquet`, of which a few batches are in memory at once: by the cores of
this machine, or, where this runs as a task of a Ray cluster, by its machines. Knows columns; leaves how they are shown
to `page.py`.
"""

from collections.abc import Sequence
from typing import Any

from vesalius.corpus.frames import daft as library
from vesalius.corpus.licences import licence_name

MOST = 100  # rows of a table that are told
_YEAR = r"\b(1[4-9]\d\d|20\d\d)\b"


def contents_of(shards: Sequence[str], dropped: str) -> dict[str, Any]:
    """Counts what is in a corpus.

    Args:
        shards: its Parquet files.
        dropped: its `dropped.parquet`.

    Returns:
        `site`, `licence`, `language`, `year`: rows of that name with `documents`, `words`, `images`, most documents
        first, `MOST` at most, "" where it is not known; of sites also `dropped`, documents that were left out. `sites`:
        how many there are. `lengths`, `pictured`: documents by words and by images, rows of `least` (0, 1, 2, 4, 8, …)
        and `documents`.
    """
    if not shards:
        return {}
    daft = library()
    from daft import DataType, col
    from daft import functions as f

    about = col("general_metadata")
    documents = daft.read_parquet(list(shards)).select(
        _site("id", about.get("url")).alias("site"),
        about.get("licence").fill_null("").apply(licence_name, DataType.string()).alias("licence"),
        about.get("language").fill_null("").alias("language"),
        f.regexp_extract(about.get("date"), _YEAR, 1).fill_null("").alias("year"),
        about.get("words").alias("words"),
        f.list_count(col("images"), "valid").cast(DataType.int64()).alias("images"),
    )
    sums = (col("words").count().alias("documents"), col("words").sum(), col("images").sum())
    gone = daft.read_parquet(dropped).select(_site("id", col("url")).alias("site"), col("stage"))
    gone = gone.groupby("site").agg(col("stage").count().alias("dropped"))
    sites = documents.groupby("site").agg(*sums).join(gone, on="site", how="outer")
    counts = ("documents", "words", "images", "dropped")
    sites = sites.with_columns({name: col(name).fill_null(0).cast(DataType.int64()) for name in counts}).collect()
    tables = {name: documents.groupby(name).agg(*sums) for name in ("licence", "language", "year")}

    def first(table: Any, name: str) -> list[dict[str, Any]]:
        return list(table.sort(["documents", name], desc=[True, False]).limit(MOST).to_pylist())

    def spread(name: str) -> list[dict[str, int]]:
        power = (
            f.when(col(name) > daft.lit(0), f.floor(f.log2(col(name))).cast(DataType.int64()))
            .otherwise(-1)
            .alias("power")
        )
        rows = documents.groupby(power).agg(sums[0]).sort("power").to_pylist()
        return [{"least": int(2 ** row["power"]), "documents": row["documents"]} for row in rows]

    return {
        "sites": sites.where(col("site") != "").count_rows(),
        "site": first(sites, "site"),
        **{name: first(table, name) for name, table in tables.items()},
        "lengths": spread("words"),
        "pictured": spread("images"),
    }


def _site(id: str, address: Any) -> Any:
    """The host that an address names, or else the id, without `www.`; "" where neither is a URL."""
    from daft import col
    from daft import functions as f

    host = f.parse_url(f.coalesce(address, col(id))).get("host").fill_null("")
    return f.regexp_replace(host, r"^www\.", "")
