"""What the headings of a page say: with some of them it is a journal article, and what follows others is not its text.

Publishers agree on little but on the names of sections, and on how what tells about an article begins (English alone is
known here). `body.py` weighs what is found.
"""

import re

import numpy as np

from vesalius.corpus.extract.scan import Blocks

LEAST = 3  # different names that make an article of a page
FRONT, OWN, BACK = -1.0, 1.0, -4.0  # votes
_LONGEST = 60  # bytes of a heading that is a section's name
_NAME = re.compile(
    r"""^ [^\w\n]* (?: (?: \d+ | [ivx]+ ) [\d.]* [^\w\n]+ )? (?:
    (?P<own> abstract | summary | introduction | background | methodology | study\ design | findings | limitations
      | (?: (?: patients | subjects | materials? | data )\ and\ )? methods? (?: \ and\ materials? )?
      | (?: experimental\ )? results? (?: \ and\ discussion )? | discussions? (?: \ and\ conclusions? )? | conclusions?
      | case\ (?: report | presentation ) | figure\ legends?
    ) | (?P<back> references? (?: \ cited )? | bibliography | (?: literature | works )\ cited | reference\ list
      | acknowledge?ments? | funding (?: \ (?: statement | sources? | information ) )?
      | financial\ (?: support | disclosure )s? | disclosures?
      | (?: declaration\ of\ )? (?: competing | conflicts?\ of )\ interests? (?: \ statement )?
      | author\S{0,4}\ (?: contributions? (?: \ statement )? | information | details | affiliations | response )
      | data\ availability (?: \ statement )? | abbreviations | keywords? | footnotes | about\ the\ authors?
      | pre-publication\ history | comments | citations? | decision\ letter
      | open\ peer\ review | (?: current\ )? referee\ (?: status | reports? )
      | publisher\S{0,4}\ note | copyright | metrics | associated\ data
    ) ) [^\w\n]* $""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# How a paragraph begins that tells about an article, or is nothing but a link beside a figure.
_ABOUT = re.compile(
    r"""^ [^\w\n©]* (?: (?:
      (?: how\ to\ )? cite\ this\ article | how\ to\ cite | (?: (?: suggested | recommended )\ )? citation | cite\ as
      | copyright | author\ for\ correspondence | e-?mail (?: \ address(?:es)? )?
      | (?: (?: academic | handling | associate )\ )? editors? | (?: edited | reviewed )\ by
      | (?: first\ )? (?: received | accepted | published | revised | indexed ) | funding | data\ availability
      | (?: competing | conflicts?\ of )\ interests? | correspondence | corresponding\ authors? (?: \ at )?
      | key\ ?words | doi
    ) \ ?: | \xc2?© | \(c\)\ (?:19|20)\d\d | this\ is\ an\ open[\ -]access\ article | no\ competing\ interests
      | this\ article\ is\ (?: licensed | distributed )\ under | \[math\ processing\ error\]
      | (?: click\ (?: here\ to | for\ larger | to\ view ) | open\ in\ (?: a\ )? new | view\ (?: larg | figure | full )
        | (?: larger | original | full[\ -]sized? )\ (?: image | figure | version ) | download | format: | go\ to:
        | (?: ppt | powerpoint | png | tiff? | jpe?g )\b | enlarge | this\ file\ can\ be\ viewed
      ) [^\n\0]* $ )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_CAPTION = re.compile(rb"(?:fig(?:ure|\.)?|table|scheme|box|video|movie)\s*s?\d", re.IGNORECASE)
_BEGINNING, _SURELY = 60, 40  # bytes of a paragraph that are looked at, and of a caption that no page says twice


def leaning(blocks: Blocks) -> np.ndarray | None:
    """What its section says for each block (votes, as in `body.py`); None where the page is no article.

    Against what stands before the first section of the article's own (dates, addresses), most against sections that are
    not its text: references, interests, reviews. A section lasts to the next heading of its level or above. NaN is a
    block that is not the article's wherever it stands, which says nothing about its neighbours: dates, citations,
    copyright, links beside figures.
    """
    heads = np.flatnonzero(blocks.level)
    if len(heads) < LEAST:
        return None
    text = blocks.text.tobytes()
    starts, ends = blocks.start[heads].tolist(), blocks.end[heads].tolist()
    lines = [text[a:b].replace(b"\n", b" ") if b - a <= _LONGEST else b"" for a, b in zip(starts, ends, strict=True)]
    # All headings at once: most pages have none of these names.
    found = {match.start(): match for match in _NAME.finditer(b"\n".join(lines).decode("latin-1"))}
    if len({(match["own"] or match["back"])[:6].lower() for match in found.values()}) < LEAST:
        return None
    said, now, within, at = np.full(len(blocks.level), FRONT), FRONT, 0, 0
    for line, head, after in zip(lines, heads.tolist(), [*heads[1:].tolist(), len(said)], strict=True):
        level = int(blocks.level[head])
        if within and level <= within:
            now, within = OWN, 0
        if at in found and not within:
            now, within = (BACK, level) if found[at]["back"] else (OWN, 0)
        said[head:after] = now
        at += len(line) + 1
    said[_about(blocks, text, said > 0)] = np.nan
    return said


def _about(blocks: Blocks, text: bytes, own: np.ndarray) -> list[int]:
    """Blocks that tell about the article, and captions that its `own` sections had before: for thumbnail and figure."""
    spans = list(zip(blocks.start.tolist(), blocks.end.tolist(), strict=True))
    begins = [text[a:b] if b - a <= _BEGINNING else text[a : a + _BEGINNING] + b"\0" for a, b in spans]
    begins = [line.replace(b"\n", b" ") for line in begins]
    places = np.cumsum([0, *(len(line) + 1 for line in begins)])
    matches = _ABOUT.finditer(b"\n".join(begins).decode("latin-1"))
    found: list[int] = np.searchsorted(places, [match.start() for match in matches]).tolist()
    seen = set()
    for b, (begin, (start, end)) in enumerate(zip(begins, spans, strict=True)):
        if own[b] and len(begin) >= _SURELY and _CAPTION.match(begin):
            if (line := text[start:end]) in seen:
                found.append(b)
            seen.add(line)
    return found


def part_of(heading: str) -> str | None:
    """`own` or `back`, as the heading of a journal article's section says; None where it is no name of one."""
    found = _NAME.fullmatch(heading) if len(heading) <= _LONGEST else None
    return found and found.lastgroup


def tells_about(line: str) -> bool:
    """Whether a paragraph tells about its article, and is not of it."""
    return _ABOUT.match(line) is not None
