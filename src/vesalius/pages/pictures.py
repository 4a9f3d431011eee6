"""Pictures on a page: rows of panels that belong together, inside the file."""

import base64
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Strip:
    """One row of pictures: what it shows (HTML), and its panels by name (bytes of a PNG, JPEG or WebP), in order."""

    caption: str
    panels: dict[str, bytes]
    alt: str


def strips(rows: list[Strip]) -> str:
    """The rows as HTML; every picture lies in the page."""
    return '<div class="strips">' + "".join(_strip(row) for row in rows) + "</div>"


def _strip(row: Strip) -> str:
    panels = "".join(
        f'<div><img alt="{escape(f"{name}: {row.alt}")}" src="{_uri(data)}"><span>{escape(name)}</span></div>'
        for name, data in row.panels.items()
    )
    return f'<figure class="strip"><figcaption>{row.caption}</figcaption><div class="panels">{panels}</div></figure>'


def _uri(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg" if data.startswith(b"\xff\xd8") else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
