"""What a page says about itself in its markup: which machines it keeps out, and under which licence it stands.

Knows attributes alone; what of it counts is for `build/stages.py` and `images/robots.py`. Tags are looked for in the
bytes that lexbor wrote: asking its tree costs three times as much as parsing, and expressions a fifth of it.
"""

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice

_MOST, _TAG = 1000, 4096  # places looked at, bytes of a tag: a page that is made to take long must not
_REL = re.compile(rb' rel="(?:[^"]*\s)?license[\s"]')
_ATTRIBUTE = re.compile(r'([^\s="/]+)="([^"]*)"')
_LICENCES = frozenset((b"license", b"licence", b"dcterms.license", b"dc.rights", b"dcterms.rights"))
_NO_MARKUP = ((b"<!--", b"-->"), (b"<script", b"</script"), (b"<style", b"</style"), (b"<template", b"</template"))


def said(html: bytes) -> dict[str, str]:
    """Facts of a page (as `dom.well_formed` gives it), where it says them.

    Returns:
        `robots`, the words of `<meta name="robots">`; `tdm_reservation`; `licence`, an address or a name, where all
        that `rel="license"` and the like point to is one and the same (a picture's licence is not the page's).
    """
    facts: dict[str, str] = {}
    licences: set[str] = set()
    left = _MOST
    for at in _places(html, b"<meta "):
        tag = html[at : html.find(b">", at)]
        name = tag.partition(b' name="')[2].partition(b'"')[0].strip().lower()
        if name not in _LICENCES and name not in (b"robots", b"tdm-reservation"):
            continue
        content = _attributes(tag).get("content", "")
        left -= 1
        if left < 0 or not content or not _is_markup(html, at):
            continue
        if name == b"robots":
            facts["robots"] = f"{facts['robots']}, {content}" if "robots" in facts else content
        elif name == b"tdm-reservation":
            facts["tdm_reservation"] = content
        else:
            licences.add(content)
    for at in islice(_places(html, b"license"), _MOST):
        start, end = html.rfind(b"<", max(0, at - _TAG), at), html.find(b">", at, at + _TAG)
        tag = html[start:end] if start >= 0 else b""
        if tag[:3] in (b"<a ", b"<li") and _REL.search(tag) and _is_markup(html, start):
            licences.add(_attributes(tag).get("href", ""))
    licences.discard("")
    if len(licences) == 1:
        facts["licence"] = licences.pop()
    return facts


def _places(html: bytes, word: bytes) -> Iterator[int]:
    at = html.find(word)
    while at >= 0:
        yield at
        at = html.find(word, at + 1)


def _attributes(tag: bytes) -> dict[str, str]:
    return {name.lower(): unescape(value).strip() for name, value in _ATTRIBUTE.findall(tag.decode("utf-8", "replace"))}


def _is_markup(html: bytes, at: int) -> bool:
    """Whether it stands in no comment, script or template."""
    return all(html.rfind(start, 0, at) <= html.rfind(end, 0, at) for start, end in _NO_MARKUP)
