"""Conditions on metadata: `modality=CT and age>=60 and organ in (liver, spleen)` as a polars expression.

Knows SQL conditions (parsed by sqlglot; no grammar of our own) and how they meet a table whose columns may be text.
Leaves which table to its callers. Column names are compared in snake_case, text without regard to case, a bare word to
the right of a comparison or inside `in` is text, and a row whose value is missing meets no condition but `is null`.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from operator import ge, gt, le, lt

import polars as pl
import sqlglot
from sqlglot import expressions as sql

from vesalius.errors import VesaliusError

_ORDER = {sql.GT: gt, sql.GTE: ge, sql.LT: lt, sql.LTE: le}
_EXAMPLE = "write it like: modality=CT and age>=60 and site in (A, B) and scanner like 'sens%'; quote what has blanks"
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|<>|!=|<=|>=|[=<>(),]|[^\s'"<>=!(),]+|\S""")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORDS = {"and", "or", "not", "in", "like", "ilike", "between", "is", "null", "true", "false"}
_BEFORE_A_VALUE = {"=", "!=", "<>", "<", "<=", ">", ">=", "like", "ilike", "between"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def snake_case(name: str) -> str:
    """A column's name as conditions spell it: `Scanner Model`, `scannerModel`, `scanner-model` are `scanner_model`."""
    text = unicodedata.normalize("NFKC", name).strip().lstrip("\ufeff")
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^\w]+", "_", text).strip("_").lower()


def where(frame: pl.DataFrame, condition: str) -> pl.DataFrame:
    """Rows of `frame` that meet the condition, in their order.

    Raises:
        VesaliusError: the condition does not parse, names an unknown column, or compares text with `<`.
    """
    return frame.filter(expression(condition, frame))


def expression(condition: str, frame: pl.DataFrame) -> pl.Expr:
    """The condition as a boolean polars expression over `frame`'s columns; nulls give false."""
    if not condition.strip():
        raise _bad(condition, "is empty")
    try:
        tree = sqlglot.parse_one(_quoted(condition), into=sql.Condition, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        where_ = error.errors[0].get("description", "") if isinstance(error, sqlglot.errors.ParseError) else str(error)
        raise _bad(condition, f"cannot be read ({where_.strip().rstrip('.')})") from None
    return _Reader(condition, frame).boolean(tree).fill_null(False)


def _bad(condition: str, problem: str, remedy: str = _EXAMPLE) -> VesaliusError:
    return VesaliusError(f"condition «{condition}» {problem}", remedy=remedy, code="condition")


def _quoted(condition: str) -> str:
    """The condition with its bare values and columns in quotes.

    SQL would read `North-West`, `2020-01-01`, `3T` or a column called `case` as something else, and answer wrongly
    without a word.
    """
    out, before, within, between = [], "", False, False
    for token in _TOKEN.findall(condition):
        word = token.lower()
        value = before in _BEFORE_A_VALUE or (within and before in ("(", ",")) or (between and before == "and")
        between = word == "between" or (between and not (value and before == "and"))
        within = (within and word != ")") or word == "in"
        if value and token not in ("(", ")") and token[0] not in "'\"" and word not in ("null", "true", "false"):
            out.append(token if _NUMBER.fullmatch(token) else "'" + token.replace("'", "''") + "'")
        elif word not in _WORDS and re.fullmatch(r"[^\W\d][\w.-]*", token):
            out.append(f'"{token}"')
        else:
            out.append(token)
        before = word
    return " ".join(out)


class _Reader:
    """One condition over one table; holds both so that every error can name them."""

    def __init__(self, condition: str, frame: pl.DataFrame):
        self.condition = condition
        self.frame = frame
        self.columns = {snake_case(name): name for name in frame.columns}

    def boolean(self, node: sql.Expr) -> pl.Expr:
        match node:
            case sql.Paren():
                return self.boolean(node.this)
            case sql.Not():
                # Kleene logic: what is unknown stays unknown under `not`, and counts as false at the end.
                return ~self.boolean(node.this)
            case sql.And():
                return self.boolean(node.left) & self.boolean(node.right)
            case sql.Or():
                return self.boolean(node.left) | self.boolean(node.right)
            case sql.EQ():
                return self.equal(node.this, node.expression)
            case sql.NEQ():
                return ~self.equal(node.this, node.expression)
            case sql.GT() | sql.GTE() | sql.LT() | sql.LTE():
                return self.compare(node.this, node.expression, _ORDER[type(node)])
            case sql.Between():
                low, high = node.args["low"], node.args["high"]
                return self.compare(node.this, low, ge) & self.compare(node.this, high, le)
            case sql.In() if node.expressions:
                options = [self.equal(node.this, option) for option in node.expressions]
                return pl.any_horizontal(options)
            case sql.Like() | sql.ILike():
                column, _ = self.column(node.this)
                marks = re.findall(r"\\[%_\\]|.", self.text(node.expression), re.DOTALL)
                pattern = "".join({"%": ".*", "_": "."}.get(c, re.escape(c[-1])) for c in marks)
                return column.cast(pl.String).str.contains(f"(?is)^{pattern}$")
            case sql.Is():
                if isinstance(node.expression, sql.Null):
                    return self.column(node.this)[0].is_null()
                return self.equal(node.this, node.expression)
            case sql.Boolean():
                return pl.lit(bool(node.this))
            case sql.Column():
                column, dtype = self.column(node)
                if dtype == pl.Boolean:
                    return column
                raise _bad(self.condition, f"uses the column {node.name} alone, which is not true or false")
        raise _bad(self.condition, f"has «{node.sql()}», which is not a condition on a column")

    def column(self, node: sql.Expr) -> tuple[pl.Expr, pl.DataType]:
        if not isinstance(node, sql.Column):
            raise _bad(self.condition, f"has «{node.sql()}» where a column is expected")
        name = self.columns.get(snake_case(node.name))
        if name is None:
            raise _bad(
                self.condition, f"names the unknown column {node.name}", f"columns are: {', '.join(self.columns)}"
            )
        column, dtype = pl.col(name), self.frame.schema[name]
        if dtype.is_float():
            column = column.fill_nan(None)
        if dtype == pl.String:  # "" in a CSV is a missing value, whoever read it
            column = pl.when(column.str.strip_chars() != "").then(column.str.strip_chars())
        return column, dtype

    def text(self, node: sql.Expr) -> str:
        match node:
            case sql.Literal() | sql.Column():
                return node.name
            case sql.Neg():
                return f"-{self.text(node.this)}"
            case sql.Boolean():
                return str(node.this).lower()
        return node.sql()

    def number(self, node: sql.Expr) -> float | None:
        text = self.text(node).strip()
        return float(text) if _NUMBER.fullmatch(text) else None

    def moment(self, column: pl.Expr, dtype: pl.DataType, node: sql.Expr) -> tuple[pl.Expr, date]:
        """A temporal column and a literal of its type; a date without a time means the whole day."""
        text = self.text(node).strip()
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                return column.cast(pl.Date), date.fromisoformat(text)
            return column.cast(pl.Datetime), datetime.fromisoformat(text)
        except ValueError:
            raise _bad(self.condition, f"has «{text}», which is no date", "write dates like 2020-01-31") from None

    def equal(self, left: sql.Expr, right: sql.Expr) -> pl.Expr:
        column, dtype = self.column(left)
        number = self.number(right)
        if dtype in (pl.Date, pl.Datetime):
            moments, moment = self.moment(column, dtype, right)
            return moments == moment
        if dtype == pl.Boolean:
            truth = _TRUTH.get(self.text(right).lower())
            if truth is None:
                raise _bad(self.condition, f"compares {left.name}, which is true or false, with «{self.text(right)}»")
            return column == truth
        if dtype.is_numeric():
            if number is None:
                raise _bad(self.condition, f"compares the number {left.name} with the text «{self.text(right)}»")
            return column == number
        same = column.cast(pl.String).str.to_lowercase() == self.text(right).lower()
        if number is not None and dtype == pl.String:  # «50» meets «50.00» in a column read as text
            return same | (column.cast(pl.Float64, strict=False) == number).fill_null(False)
        return same

    def compare(self, left: sql.Expr, right: sql.Expr, order: Callable) -> pl.Expr:
        column, dtype = self.column(left)
        if dtype in (pl.Date, pl.Datetime):
            moments, moment = self.moment(column, dtype, right)
            return order(moments, moment)
        number = self.number(right)
        if number is None:
            if dtype == pl.String:  # dates as ISO text order as text does
                return order(column, self.text(right))
            raise _bad(self.condition, f"compares the number {left.name} with the text «{self.text(right)}»")
        if dtype == pl.String:
            values = self.frame[self.columns[snake_case(left.name)]]
            numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
            if numbers.null_count() == len(numbers) and len(numbers):
                some = next((v for v in values if v), "nothing")
                raise _bad(self.condition, f"compares {left.name}, which holds text («{some}»), with a number")
            return order(column.cast(pl.Float64, strict=False), number)
        return order(column, number)
