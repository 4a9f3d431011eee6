"""Which prediction belongs to which reference: by equal name, by a pattern, or by a CSV, so that nobody renames files.

Knows names and tables, never opens a mask. A pattern is written in the words of the file names:

    {case}_pred                 predictions are called like their case with "_pred" behind it
    seg_{case}|{case}_gt        predictions and references, each in their own way
    {case}_*_run{n}             `*` and any other braces stand for whatever
    (?P<case>s\\d+)_.*          a regular expression with a group named `case`, for all else

Suffixes may be written or left out (`{case}_pred.nii.gz` is `{case}_pred`).
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from vesalius.errors import VesaliusError
from vesalius.formats.delimited import Delimited, read_delimited
from vesalius.formats.masks import Entry, case_name, entry_of, unique_cases


@dataclass(frozen=True)
class Pairing:
    """What was matched and what was not; each dictionary sorted by case.

    Attributes:
        matched: case -> (prediction, reference).
        only_predictions: predictions without a reference.
        only_references: references without a prediction.
    """

    matched: dict[str, tuple[Entry, Entry]]
    only_predictions: dict[str, Entry]
    only_references: dict[str, Entry]


def pair(predictions: dict[str, Entry], references: dict[str, Entry], pattern: str | None = None) -> Pairing:
    """Pairs two folders' cases (as `find_cases` gives them) by name.

    Args:
        predictions: name -> entry.
        references: name -> entry.
        pattern: how names hold the case, see the head of this file. One pattern is read on predictions, and on those
            references that fit it too; "A|B" gives each side its own. A name that does not fit keeps its whole name.

    Raises:
        VesaliusError: code `pattern` (no `{case}` in it, or fits no name), `no_pairs` (nothing matches).
    """
    found, wanted = predictions, references
    if pattern is not None:
        ours, theirs = _sides(pattern)
        found = _renamed(predictions, ours)
        if not any(ours.fullmatch(name) for name in predictions):
            problem = f"the pattern {pattern} fits no prediction (they are called {_some(predictions)})"
            raise VesaliusError(problem, remedy=_PATTERN_HELP, code="pattern")
        wanted = _renamed(references, theirs)
    both = sorted(found.keys() & wanted.keys())
    if not both:
        problem = f"no prediction matches a reference: {_some(found)} against {_some(wanted)}"
        raise VesaliusError(problem, remedy=_remedy(list(found), list(wanted)), code="no_pairs")
    return Pairing(
        {case: (found[case], wanted[case]) for case in both},
        {case: found[case] for case in sorted(found.keys() - wanted.keys())},
        {case: wanted[case] for case in sorted(wanted.keys() - found.keys())},
    )


def read_pairs(path: str | Path) -> dict[str, Pairing]:
    """Reads pairs from a CSV, by model.

    Columns `reference` and `prediction` (files or case folders; relative to the CSV's folder), and if given `case`
    (else the reference's name) and `model` (else all rows are of one model, called ""). Others are ignored. An empty
    cell says that there is no such file. Files need not exist: reading them later says so, case by case.

    Raises:
        VesaliusError: code `columns` (a column is absent), `pairs` (a row names neither file, or a model's case twice;
            the line is named).
    """
    table = read_delimited(Path(path))
    columns = {name.strip().lower(): name for name in table.frame.columns}
    for needed in ("reference", "prediction"):
        if needed not in columns:
            problem = f'no column "{needed}" (there are: {", ".join(table.frame.columns)})'
            raise VesaliusError(
                problem, file=path, remedy="name the columns case, reference, prediction", code="columns"
            )
    models: dict[str, dict[str, tuple[Entry | None, Entry | None]]] = {}
    for line, row in zip(table.lines, table.frame.iter_rows(named=True), strict=True):
        model, case, *entries = _row({name: row[column] for name, column in columns.items()}, table, line)
        rows = models.setdefault(model, {})
        if case in rows:
            problem = f'line {line}: case "{case}" stands there twice' + (f' for model "{model}"' if model else "")
            raise VesaliusError(problem, file=path, remedy="keep one row a case and model", code="pairs")
        rows[case] = (entries[0], entries[1])
    if not models:
        raise VesaliusError("no rows in it", file=path, remedy="write a row a case", code="pairs")
    return {model: _split(rows) for model, rows in sorted(models.items())}


def _row(row: dict[str, str | None], table: Delimited, line: int) -> tuple[str, str, Entry | None, Entry | None]:
    """(model, case, prediction, reference) of one row."""
    files = {
        side: table.path.parent / value.strip() if (value := row[side]) and value.strip() else None
        for side in ("prediction", "reference")
    }
    given = next((file for file in (files["reference"], files["prediction"]) if file is not None), None)
    if given is None:
        raise VesaliusError(
            f"line {line} names neither a reference nor a prediction",
            file=table.path,
            remedy="fill in or delete the row",
            code="pairs",
        )
    case = unicodedata.normalize("NFC", (row.get("case") or "").strip()) or case_name(given)
    prediction, reference = (
        None if file is None else replace(entry_of(file), case=case)
        for file in (files["prediction"], files["reference"])
    )
    return (row.get("model") or "").strip(), case, prediction, reference


def _split(rows: dict[str, tuple[Entry | None, Entry | None]]) -> Pairing:
    pairing = Pairing({}, {}, {})
    for case, (prediction, reference) in sorted(rows.items()):
        if prediction and reference:
            pairing.matched[case] = prediction, reference
        elif prediction:
            pairing.only_predictions[case] = prediction
        elif reference:
            pairing.only_references[case] = reference
    return pairing


_PATTERN_HELP = 'write {case} where the name of the case stands, as in "{case}_pred" or "seg_{case}|{case}_gt"'


def _sides(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The patterns of predictions and references. A regular expression is never split at its "|"."""
    if "(?P<case>" in pattern:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            problem = f"the pattern {pattern} is no regular expression ({error})"
            raise VesaliusError(problem, remedy=_PATTERN_HELP, code="pattern") from None
        return compiled, compiled
    sides = [_template(side.strip(), pattern) for side in pattern.split("|")]
    if len(sides) > 2:
        raise VesaliusError(f"the pattern {pattern} has more than two sides", remedy=_PATTERN_HELP, code="pattern")
    return sides[0], sides[-1]


def _template(template: str, whole: str) -> re.Pattern[str]:
    if template.count("{case}") != 1:
        raise VesaliusError(f"the pattern {whole} needs one {{case}} a side", remedy=_PATTERN_HELP, code="pattern")
    template = unicodedata.normalize("NFC", case_name(Path(template)))
    wildcard = re.compile(r"(\{case\}|\{\w*\}|\*)")
    parts = ["(?P<case>.+?)" if part == "{case}" else ".*?" if wildcard.fullmatch(part) else re.escape(part)
             for part in wildcard.split(template)]  # fmt: skip
    return re.compile("".join(parts))


def _renamed(entries: dict[str, Entry], pattern: re.Pattern[str]) -> dict[str, Entry]:
    return unique_cases(
        replace(entry, case=found["case"] if (found := pattern.fullmatch(name)) and found["case"] else name)
        for name, entry in entries.items()
    )


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")


def _remedy(found: list[str], wanted: list[str]) -> str:
    """Proposes a pattern if one side's names stand inside the other's, else says what can be done."""
    for name in sorted(found):
        inside = max((case for case in wanted if case in name), key=len, default=None)
        if inside:
            return f'try --pattern "{name.replace(inside, "{case}", 1)}", or list the pairs in a CSV and give --pairs'
    for case in sorted(wanted):
        inside = max((name for name in found if name in case), key=len, default=None)
        if inside:
            theirs = case.replace(inside, "{case}", 1)
            return f'try --pattern "{{case}}|{theirs}", or list the pairs in a CSV and give --pairs'
    return 'give --pattern, as in "{case}_pred|{case}_gt", or list the pairs in a CSV and give --pairs'
