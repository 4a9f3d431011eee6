"""A page's bytes in UTF-8, whatever they came in, and pieces of them as text."""

from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

_WRONG = "\ufffd"


def utf8(page: bytes, encoding: str | None = None) -> bytes:
    """The page in UTF-8; `encoding` is what the server said, then the page's own word counts, then a guess.

    A page that is said to be UTF-8 stays as it is, what is none in it too: `decoded` sees to it.
    """
    known = map_encoding_to_html5(encoding, fallback_utf8=False) if encoding else None
    known = known or detect_encoding(page, from_html_meta=True) or "utf-8"
    return page if known == "utf-8" else bytes_to_str(page, known).encode()


def decoded(part: bytes) -> str:
    """Text of a part of a page; one without any UTF-8 but with other bytes above ASCII is taken for Windows' Latin."""
    try:
        return part.decode()
    except UnicodeDecodeError:
        text = part.decode("utf-8", "replace")
        return text if any(c > "\x7f" and c != _WRONG for c in text) else part.decode("cp1252", "replace")
