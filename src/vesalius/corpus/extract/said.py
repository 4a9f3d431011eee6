"""What a page says about itself in its markup: which machines it keeps out, and under which licence it stands.

Knows attributes alone; what of it counts is for `build/stages.py` and `images/robots.py`.
"""

import re
from html import unescape

# Comments and scripts are consumed first, so that what stands in them says nothing.
_TAGS = re.compile(
    rb"<!--.*?-->|<(script|style|template|noscript)\b.*?</\1\s*>|<(meta|link|a)\b([^>]*)>", re.DOTALL | re.IGNORECASE
)
_ATTRIBUTE = re.compile(r'([^\s="/]+)="([^"]*)"')
_WANTED = re.compile(rb"\brobots\b|\btdm-reservation\b|\blicen[sc]e\b|\bdc(?:terms)?\.rights\b", re.IGNORECASE)
_LICENCES = ("license", "licence", "dcterms.license", "dc.rights", "dcterms.rights", "citation_license")


def said(html: bytes) -> dict[str, str]:
    """Facts of a page as `dom.well_formed` writes it, where it says them.

    Returns:
        `robots`, the words of `<meta name="robots">`; `tdm_reservation`; `licence`, an address or a name, where all
        that `rel="license"` and the like point to is one and the same (a picture's licence is not the page's).
    """
    words: list[str] = []
    licences: list[str] = []
    facts = {}
    for match in _TAGS.finditer(html) if _WANTED.search(html) else ():
        if match[2] is None or not _WANTED.search(match[3]):
            continue
        pairs = _ATTRIBUTE.findall(match[3].decode("utf-8", "replace"))
        given = {key.lower(): unescape(value).strip() for key, value in pairs}
        name, content = given.get("name", "").lower(), given.get("content", "")
        if name == "robots" and content:
            words.append(content)
        elif name == "tdm-reservation" and content:
            facts["tdm_reservation"] = content
        elif name in _LICENCES and content:
            licences.append(content)
        elif "license" in given.get("rel", "").lower().split() and given.get("href"):
            licences.append(given["href"])
    if words:
        facts["robots"] = ", ".join(words)
    if len(set(licences)) == 1:
        facts["licence"] = licences[0]
    return facts
