"""A CSV as somebody's spreadsheet wrote it: encoding, delimiter and decimal mark are found, never asked for.

Knows text files of rows and columns. Leaves what the columns mean to `score_tables` and `metadata`. Every cell stays
text, so that an identifier such as `0017` keeps its zeros; `numbers` converts a column when somebody asks for it.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vesalius.errors import VesaliusError

_BLANK = {"", "na", "n/a", "nan", "null"}
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, eq=False)
class Delimited:
    """A text table.

    Attributes:
        path: where it was read.
        frame: every cell as stripped text; a blank cell (also `NA`, `nan`, `null`) is null.
        lines: line number in the file of each row, for errors.
        delimiter: one of `,` `;` tab `|`.
        encoding: `utf-8`, `utf-16` or `cp1252`.
    """

    path: Path
    frame: pl.DataFrame
    lines: list[int]
    delimiter: str
    encoding: str


def read_delimited(path: Path) -> Delimited:
    """Read a CSV of unknown dialect.

    Raises:
        VesaliusError: the file is absent, empty or binary, a column name repeats, or a row is longer than the header.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VesaliusError(f"cannot be read ({error.strerror})", file=path, code="unreadable") from None
    if not data.strip():
        raise VesaliusError("the file is empty", file=path, remedy="write the table again", code="empty")
    text, encoding = _decode(data, path)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise VesaliusError(f"line {reader.line_num} cannot be read ({error})", file=path, code="unreadable") from None
    header = _header(rows[0], path)
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if any(cell.strip() for cell in row[len(header) :]):
            raise VesaliusError(
                f"line {line} has {len(row)} cells, the header {len(header)}", file=path,
                remedy=f"quote cells that contain «{delimiter}»", code="columns",
            )  # fmt: skip
    columns = {name: [_cell(row[i]) if i < len(row) else None for row in rows[1:]] for i, name in enumerate(header)}
    return Delimited(
        path, pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String)), lines[1:], delimiter, encoding
    )


def numbers(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Text cells as Float64, and which of them are text that is no finite number.

    A decimal comma is understood where the column has commas and no points.
    """
    plain = cells
    given = cells.drop_nulls()
    if given.str.contains(r"^[+-]?\d*,\d+([eE][+-]?\d+)?$").any() and not given.str.contains(".", literal=True).any():
        plain = cells.str.replace(",", ".", literal=True)
    values = plain.cast(pl.Float64, strict=False)
    values = values.set(values.is_not_null() & ~values.is_finite(), None)
    return values, cells.is_not_null() & values.is_null()


def typed(cells: pl.Series) -> pl.Series:
    """The column as numbers if every cell is one, else as text; codes with leading zeros stay text."""
    if cells.null_count() == cells.len() or cells.str.contains(r"^[+-]?0\d").any():
        return cells
    values, wrong = numbers(cells)
    return cells if wrong.any() else values


def _decode(data: bytes, path: Path) -> tuple[str, str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16"), "utf-16"
    if b"\x00" in data[:4096]:
        raise VesaliusError(
            "this is a binary file, not a CSV", file=path, remedy="name a CSV or Parquet file", code="unreadable"
        )
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "cp1252"


def _delimiter(text: str) -> str:
    """The delimiter that splits the first lines into the most columns, all of them into equally many."""
    head = "\n".join(text.splitlines()[:50])

    def score(mark: str) -> tuple[bool, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(head), delimiter=mark) if row]
        return min(widths, default=0) == max(widths, default=0) > 1, widths[0] if widths else 0

    return max(_DELIMITERS, key=score)


def _header(cells: list[str], path: Path) -> list[str]:
    # Spreadsheets leave empty columns at the right; pandas leaves its index column without a name.
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    names = [name or f"column_{i + 1}" for i, name in enumerate(names)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise VesaliusError(
            f"columns occur twice: {', '.join(repeated)}", file=path, remedy="rename them", code="columns"
        )
    return names


def _cell(cell: str) -> str | None:
    cell = re.sub(r"\s+", " ", cell).strip()
    return None if cell.lower() in _BLANK else cell
