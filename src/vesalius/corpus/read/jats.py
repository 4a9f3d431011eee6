"""Journal articles in JATS XML, as PubMed Central and publishers give them, with their figures beside them.

Title, abstract and body become paragraphs, `- items` and rows `a | b`; a figure is its image and its caption.
References, authors and what else surrounds an article are left out; what is known of it (DOI, journal, date, licence)
is kept.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from vesalius.corpus.document import Document, Heading, Image
from vesalius.errors import VesaliusError

_LINK = "{http://www.w3.org/1999/xlink}href"
_SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".webp")
_LEFT_OUT = {
    "ref-list", "permissions", "object-id", "contrib-group", "author-notes", "fn-group", "media",
    "supplementary-material", "attrib", "copyright-statement", "license", "kwd-group", "custom-meta-group",
    "related-article", "sec-meta",
}  # fmt: skip
_LINES = {"p", "title", "label", "subtitle", "disp-quote", "verse-line", "term", "def", "speaker", "disp-formula"}
_BLOCKS = {"fig", "fig-group", "table-wrap", "list", "graphic", "boxed-text", "disp-quote", "def-list", "p"}
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0\u2009\u200a\u202f]+")
_UNSEEN = re.compile(
    "[\u00ad\u200b\u2060-\u2064\ufeff]"
)  # soft hyphens, and times signs of formulas that no reader sees


def read(path: str | Path) -> Iterator[Document]:
    """The article of a file.

    Raises:
        VesaliusError: code `unreadable`, no XML; code `content`, no article.
    """
    path = Path(path)
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, recover=False)
    try:
        root = etree.parse(str(path), parser).getroot()
    except (OSError, etree.XMLSyntaxError) as error:
        raise VesaliusError(f"is no XML ({error})", file=path, remedy="fetch it again", code="unreadable") from None
    articles = [root] if _name(root) == "article" else list(root.iter("{*}article", "article"))
    if not articles:
        remedy = "give JATS XML: PubMed Central's .nxml, or a publisher's"
        raise VesaliusError(f"holds no article, but <{_name(root)}>", file=path, remedy=remedy, code="content")
    for number, article in enumerate(articles):
        facts = _facts(article)
        own = facts.get("doi") or facts.get("pmcid") or f"{path.name}#{number}"
        yield Document(own, tuple(_parts(article, path.parent)), facts)


def _name(node: Any) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def _find(node: Any, path: str) -> Any:
    """The first node at a path of local names."""
    for name in path.split("/"):
        node = next((child for child in node if _name(child) == name), None) if node is not None else None
    return node


def _words(node: Any) -> str:
    return "" if node is None else _spaced(_inline(node))


def _spaced(texts: Iterable[str]) -> str:
    """One text, its spaces as they should be."""
    return _SPACE.sub(" ", _UNSEEN.sub("", "".join(texts))).strip()


def _inline(node: Any) -> Iterator[str]:
    """Text of a node and what is in it; of formulas the TeX, not MathML and TeX both."""
    name = _name(node)
    if name in _LEFT_OUT or not name:
        return
    if name == "alternatives":
        chosen = next((c for c in node if _name(c) in ("tex-math", "textual-form")), None)
        chosen = next(iter(node), None) if chosen is None else chosen
        yield from _inline(chosen) if chosen is not None else ()
        return
    if name == "break":
        yield " "
    yield node.text or ""
    for child in node:
        yield from _inline(child)
        yield child.tail or ""


def _facts(article: Any) -> dict[str, Any]:
    meta = _find(article, "front/article-meta")
    facts: dict[str, Any] = {"kind": article.get("article-type"), "language": _language(article)}
    if meta is None:
        return {key: value for key, value in facts.items() if value}
    facts["title"] = _words(_find(meta, "title-group/article-title"))
    for node in meta:
        if _name(node) == "article-id":
            facts[{"pmc": "pmcid"}.get(node.get("pub-id-type"), node.get("pub-id-type") or "")] = _words(node)
    facts["journal"] = _words(_find(article, "front/journal-meta/journal-title-group/journal-title")) or _words(
        _find(article, "front/journal-meta/journal-title")
    )
    facts["date"] = _date(meta)
    licence = _find(meta, "permissions/license")
    if licence is not None:
        stated = next((n.text for n in licence.iter() if _name(n) == "license_ref" and n.text), None)
        link = licence.get(_LINK) or stated or next((n.get(_LINK) for n in licence.iter() if n.get(_LINK)), None)
        facts["licence"] = link or _spaced(licence.itertext())
    kept = ("kind", "language", "title", "doi", "pmid", "pmcid", "journal", "date", "licence")
    return {key: facts[key] for key in kept if facts.get(key)}


def _language(article: Any) -> str | None:
    return article.get("{http://www.w3.org/XML/1998/namespace}lang")


def _date(meta: Any) -> str | None:
    """The earliest, as ISO 8601 has it, as far as it is known."""
    found = []
    for node in meta:
        if _name(node) == "pub-date" and (year := _words(_find(node, "year"))).isdigit():
            rest = [_words(_find(node, part)) for part in ("month", "day")]
            parts = [year] + [f"{int(r):02d}" for r in rest if r.isdigit()]
            found.append("-".join(parts))
    return min(found, key=lambda date: (date[:4], -len(date), date), default=None)


def _parts(article: Any, folder: Path) -> Iterator[str | Image]:
    meta = _find(article, "front/article-meta")
    if meta is not None:
        if title := _words(_find(meta, "title-group/article-title")):
            yield Heading(title, 1)
        for node in meta:
            if _name(node) == "abstract":
                yield from _flow(node, folder)
    for name in ("body", "floats-group"):
        if (node := _find(article, name)) is not None:
            yield from _flow(node, folder)


def _flow(node: Any, folder: Path) -> Iterator[str | Image]:
    """Lines and images of a part of the article, in order."""
    name = _name(node)
    if not name or name in _LEFT_OUT or name == "ref-list":
        return
    if name in ("fig", "graphic"):
        yield from _figure(node, folder)
    elif name == "tr":
        if row := " | ".join(_words(cell) for cell in node if _name(cell) in ("td", "th")):
            yield row
    elif name == "list-item":
        lines = list(_children(node, folder))
        first = next((i for i, line in enumerate(lines) if isinstance(line, str)), None)
        if first is not None:
            lines[first] = f"- {lines[first]}"
        yield from lines
    elif name == "title" and _name(node.getparent()) in ("sec", "abstract", "app"):
        if title := _words(node):
            yield Heading(title, 1 + max(1, sum(_name(above) == "sec" for above in node.iterancestors())))
    elif name in _LINES:
        yield from _line(node, folder)
    else:
        yield from _children(node, folder)


def _children(node: Any, folder: Path) -> Iterator[str | Image]:
    for child in node:
        yield from _flow(child, folder)


def _line(node: Any, folder: Path) -> Iterator[str | Image]:
    """A paragraph; figures and lists inside it break it where they stand."""
    words: list[str] = [node.text or ""]

    def said() -> Iterator[str]:
        if line := _spaced(words):
            yield line
        words.clear()

    for child in node:
        if _name(child) in _BLOCKS:
            yield from said()
            yield from _flow(child, folder)
        else:
            words.extend(_inline(child))
        words.append(child.tail or "")
    yield from said()


def _figure(node: Any, folder: Path) -> Iterator[str | Image]:
    """An image, then its label and caption."""
    alt = _words(_find(node, "alt-text"))
    graphics = [node] if _name(node) == "graphic" else [child for child in node.iter() if _name(child) == "graphic"]
    for graphic in graphics[:1] if _name(node) == "fig" else graphics:
        if href := graphic.get(_LINK):
            yield Image(_place(href, folder), alt)
    if _name(node) != "fig":
        return
    label, caption = _words(_find(node, "label")), _find(node, "caption")
    lines = [] if caption is None else [line for line in _children(caption, folder)]
    if label:
        yield f"{label} {lines.pop(0)}" if lines and isinstance(lines[0], str) else label
    yield from lines


def _place(href: str, folder: Path) -> str:
    """The file beside the article where there is one, else the address as it stands."""
    for suffix in _SUFFIXES:
        if "/" not in href and (folder / f"{href}{suffix}").is_file():
            return str(folder / f"{href}{suffix}")
    return href
