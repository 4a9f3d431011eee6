"""What was found in a text, and the text without it.

Knows spans of characters and the placeholders that take their place; leaves finding them to the recognisers.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Presidio's entity → our kind. Other recognisers' entities become kinds by their own names.
ENTITIES = {
    "PERSON": "name",
    "DATE_OF_BIRTH": "date of birth",
    "RECORD_NUMBER": "record number",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "ADDRESS": "address",
    "ID_NUMBER": "id number",
    "CREDIT_CARD": "account",
    "IBAN_CODE": "account",
    "AGE_OVER_89": "age over 89",
    "DEVICE_ID": "device",
    "IP_ADDRESS": "ip address",
    "CALENDAR_DATE": "date",
}
KINDS = tuple(dict.fromkeys(ENTITIES.values()))

Range = tuple[int, int]
Part = tuple[int, int, int]  # characters, and which findings in them are about authors; see `published`


@dataclass(frozen=True, slots=True)
class Finding:
    """An identifier in a text.

    Attributes:
        kind: one of `KINDS`, or what a recogniser of your own calls it.
        start, end: characters of the text, as a slice.
        score: the recogniser's confidence, 0 to 1.
        rule: the recogniser, and which of its rules ("Names/title").
    """

    kind: str
    start: int
    end: int
    score: float
    rule: str


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text without its identifiers.

    Attributes:
        text: placeholders stand where the findings were, all else is as it was.
        findings: in the order of the original text, whose characters they count; they do not overlap.
    """

    text: str
    findings: tuple[Finding, ...]


def placeholder(kind: str, number: int | None = None) -> str:
    """What takes an identifier's place: `[DATE OF BIRTH]`, or `[NAME 2]` where identifiers are numbered."""
    return f"[{kind.upper()}]" if number is None else f"[{kind.upper()} {number}]"


def placeholders_in(text: str, kinds: Iterable[str] = KINDS) -> list[Range]:
    """Where placeholders stand already."""
    names = "|".join(re.escape(kind.upper()) for kind in kinds)
    return [match.span() for match in re.finditer(rf"\[(?:{names})(?: \d+)?\]", text)]


def blanked(text: str, holes: Iterable[Range]) -> str:
    """The text with a block for each character in a hole: "[DATE OF BIRTH]" shall make no date behind it one."""
    for start, end in holes:
        text = text[:start] + "▮" * (end - start) + text[end:]
    return text


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings without overlap, in order; those that overlap become one, as wide as both, named after the surer.

    Wide rather than exact: what two recognisers each saw a part of is an identifier in whole.
    """
    found: list[Finding] = []
    for one in sorted(findings, key=lambda f: (f.start, -f.end, f.kind)):
        if not found or one.start >= found[-1].end:
            found.append(one)
            continue
        last = found[-1]
        best = max(last, one, key=lambda f: (f.score, f.end - f.start))
        found[-1] = Finding(best.kind, last.start, max(last.end, one.end), best.score, best.rule)
    return found


def outside(span: Range, holes: Sequence[Range]) -> list[Range]:
    """The pieces of a span that are in none of the holes, which are sorted and do not overlap."""
    pieces, start = [], span[0]
    for low, high in holes:
        if high <= start or low >= span[1]:
            continue
        if low > start:
            pieces.append((start, low))
        start = high
    if start < span[1]:
        pieces.append((start, span[1]))
    return pieces


def masked(text: str, findings: Sequence[Finding], names: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text with `names` in the places of the findings, and how to get back.

    Returns:
        The text; and, in order, (offset in the new text, offset in the old) from which on, up to the next, both
        run side by side.
    """
    parts, shifts = [], [(0, 0)]
    at = length = 0
    for finding, name in zip(findings, names, strict=True):
        parts += [text[at : finding.start], name]
        length += finding.start - at + len(name)
        at = finding.end
        shifts.append((length, at))
    parts.append(text[at:])
    return "".join(parts), shifts


def unmasked(offset: int, shifts: Sequence[tuple[int, int]]) -> int:
    """The offset in the old text of one in the new that is in no placeholder; see `masked`."""
    new, old = next(shift for shift in reversed(shifts) if shift[0] <= offset)
    return old + offset - new
