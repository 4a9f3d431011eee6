"""What a page says about itself in its markup: which machines it keeps out, and under which licence it stands.

Knows attributes alone; what of it counts is for `build/stages.py` and `images/robots.py`.
"""

from vesalius.corpus.extract.attributes import attributes
from vesalius.corpus.extract.scan import Notes

_MOST = 1000  # tags looked into: a page that is made to take long must not
_LICENCES = frozenset(("license", "licence", "dcterms.license", "dc.rights", "dcterms.rights"))


def said(html: bytes, notes: Notes) -> dict[str, str]:
    """Facts of a page, where it says them.

    Returns:
        `robots`, the words of `<meta name="robots">`; `tdm_reservation`; `licence`, an address or a name, where all
        that `rel="license"` and the like point to is one and the same (a picture's licence is not the page's).
    """
    facts: dict[str, str] = {}
    licences: set[str] = set()
    left = _MOST
    for start, end in zip(notes.start.tolist(), notes.end.tolist(), strict=True):
        tag = html[start:end]
        lower = tag.lower()
        # Most say nothing of this, and are not looked into. One by one: a loop would take half as long again.
        if not (b"robots" in lower or b"licen" in lower or b"rights" in lower or b"tdm-" in lower):
            continue
        left -= 1
        if left < 0:
            break
        given = attributes(tag)
        if not lower.startswith(b"<meta"):
            if "license" in given.get("rel", "").lower().split():
                licences.add(given.get("href", ""))
            continue
        name, content = given.get("name", "").lower(), given.get("content", "")
        if name == "robots" and content:
            facts["robots"] = f"{facts['robots']}, {content}" if "robots" in facts else content
        elif name == "tdm-reservation" and content:
            facts["tdm_reservation"] = content
        elif name in _LICENCES:
            licences.add(content)
    licences.discard("")
    if len(licences) == 1:
        facts["licence"] = licences.pop()
    return facts
