"""What is known of each case besides its scores: one row a case, joined to the cases by whichever column names them.

Knows how a hospital's table meets the case names. Leaves reading the file to `delimited`, and conditions to `select`.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vesalius.errors import VesaliusError
from vesalius.formats.delimited import read_delimited, typed
from vesalius.select import snake_case


@dataclass(frozen=True, eq=False)
class Metadata:
    """Metadata of the cases that have scores.

    Attributes:
        frame: `case` first, then the table's columns in snake_case, numbers as Float64; one row for each case asked
            for, in that order; nulls for a case that the table does not know.
        id_column: the column that names the cases, as the file spells it.
        matched: how many cases it names.
        unmatched: the cases it does not name.
        delimiter, encoding: how the file was written.
    """

    frame: pl.DataFrame
    id_column: str
    matched: int
    unmatched: list[str]
    delimiter: str = ""
    encoding: str = ""

    def __str__(self) -> str:
        return f"{self.matched} of {self.frame.height} cases matched on {self.id_column}"


def read_metadata(path: Path, cases: list[str], id_column: str | None = None) -> Metadata:
    """Join a metadata table (CSV of any dialect, or Parquet) to `cases`.

    Args:
        path: the table.
        cases: the case names that the scores use.
        id_column: the column that names the cases; by default the one that names most of them.

    Raises:
        VesaliusError: no column names any case, `id_column` is unknown, or a case has two different rows.
    """
    table, delimiter, encoding = _read(path)
    id_column = _id_column(table, cases, id_column, path)
    names = table[id_column]
    known = table.filter(names.is_in(cases)).unique(maintain_order=True)
    twice = known.filter(known[id_column].is_duplicated())[id_column].unique(maintain_order=True).to_list()
    if twice:
        raise VesaliusError(
            f"{len(twice)} cases have two different rows: {_some(twice)}", file=path, remedy="keep one row a case",
            code="duplicate",
        )  # fmt: skip
    other = [name for name in table.columns if name != id_column]
    renamed = {name: snake_case(name) for name in other}
    clash = sorted({n for n in renamed.values() if list(renamed.values()).count(n) > 1 or n == "case"})
    if clash:
        raise VesaliusError(
            f"columns are the same in snake_case: {', '.join(clash)}", file=path, remedy="rename one of them"
        )
    known = known.rename({id_column: "case"} | renamed)
    known = known.select("case", *(typed(known[name]) for name in renamed.values()))
    frame = pl.DataFrame({"case": cases}, schema={"case": pl.String}).join(
        known, on="case", how="left", maintain_order="left"
    )
    found = set(known["case"])
    return Metadata(frame, id_column, len(found), [c for c in cases if c not in found], delimiter, encoding)


def no_metadata(cases: list[str]) -> Metadata:
    """Cases of which nothing else is known."""
    return Metadata(pl.DataFrame({"case": cases}, schema={"case": pl.String}), "", 0, list(cases))


def _read(path: Path) -> tuple[pl.DataFrame, str, str]:
    if path.suffix.lower() == ".parquet":
        try:
            return pl.read_parquet(path).cast(pl.String), "", "parquet"
        except (OSError, pl.exceptions.PolarsError) as error:
            raise VesaliusError(f"cannot be read ({error})", file=path, code="unreadable") from None
    table = read_delimited(path)
    return table.frame, table.delimiter, table.encoding


def _id_column(table: pl.DataFrame, cases: list[str], asked: str | None, path: Path) -> str:
    if asked is not None:
        spelled = {snake_case(name): name for name in table.columns}
        if snake_case(asked) not in spelled:
            raise VesaliusError(
                f"has no column {asked}", file=path, remedy=f"columns are: {', '.join(table.columns)}", code="columns"
            )
        asked = spelled[snake_case(asked)]
    wanted = set(cases)
    overlap = {name: len(wanted & set(table[name].drop_nulls())) for name in ([asked] if asked else table.columns)}
    best = max(overlap, key=lambda name: overlap[name])
    if not overlap[best]:
        which = f"column {asked} names none" if asked else "no column names any"
        raise VesaliusError(
            f"{which} of the {len(cases)} cases (such as {_some(cases, 3)})", file=path, code="join",
            remedy="name the column that holds the case names with --id, or spell the names alike",
        )  # fmt: skip
    return best


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
