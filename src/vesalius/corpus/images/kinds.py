"""What a file is, told from its first bytes; names and headers that servers give are worth nothing."""

import re

HEAD = 512  # bytes that are enough
SUFFIXES = {"jpeg": "jpg", "tiff": "tif"}  # of kinds whose suffix is not their name

_STARTS = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"8BPS", "psd"),
    (b"\0\0\x01\0", "ico"),
    (b"%PDF", "pdf"),
    (b"%!PS", "eps"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
)
_BRANDS = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"msf1": "heic"}
_SVG = re.compile(rb"<(?:[a-z]+:)?svg[\s>]")
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|script|title)\b", re.DOTALL)


def kind_of(head: bytes) -> str:
    """The kind of a file: one word; "unknown" if no rule fits.

    Args:
        head: its first `HEAD` bytes, or all if there are fewer.
    """
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "mp4")
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    lowered = head.removeprefix(b"\xef\xbb\xbf").lower()
    if _SVG.search(lowered):
        return "svg"
    return "html" if _HTML.match(lowered) else "unknown"


def suffix_of(kind: str) -> str:
    """Of a file of this kind, with its dot."""
    return f".{SUFFIXES.get(kind, kind)}"
