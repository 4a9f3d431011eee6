"""A document: texts and images in the order in which a reader meets them, and what is known of them.

On disk it has OmniCorpus' public columns: `texts` and `images` of equal length, one of the two null at each place,
`metadata` for each (of a text only where it is a heading), `general_metadata` the document. Leaves where documents come
from to `read/` and what is done to them to the stages.
"""

from dataclasses import dataclass, field, replace
from typing import Any


class Heading(str):
    """A paragraph that is a heading; `level` counts from 1."""

    level: int

    def __new__(cls, text: str, level: int = 1) -> "Heading":
        """A heading of a level."""
        heading = super().__new__(cls, text)
        heading.level = level
        return heading


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a document, fetched or not.

    Attributes:
        url: where it is from; a path for documents that bring their images.
        alt: alternative text of the page.
        width, height: pixels, as known so far.
        facts: what stages found (bytes, hash, status, scores), as they stand on disk.
    """

    url: str
    alt: str = ""
    width: int | None = None
    height: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """See the module.

    Attributes:
        id: of its source: a URL, a DOI, a path; the same on every run.
        parts: paragraphs (str, a line each; `Heading` where they are one) and images, in order.
        facts: url, title, language, date, licence, scores, as they stand on disk.
    """

    id: str
    parts: tuple["str | Image", ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """Its paragraphs."""
        return tuple(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[Image, ...]:
        """Its images."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    @property
    def text(self) -> str:
        """All paragraphs, a line each; the same with and without images."""
        return "\n".join(self.texts)

    def with_facts(self, **facts: Any) -> "Document":
        """The same with more known of it."""
        return replace(self, facts={**self.facts, **facts})

    def to_row(self) -> dict[str, Any]:
        """The public columns."""
        images = [part if isinstance(part, Image) else None for part in self.parts]
        return {
            "id": self.id,
            "texts": [part if isinstance(part, str) else None for part in self.parts],
            "images": [image and image.url for image in images],
            "metadata": [_metadata(part) for part in self.parts],
            "general_metadata": self.facts,
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Document":
        """What `to_row` gave."""
        parts: list[str | Image] = []
        for text, url, known in zip(row["texts"], row["images"], row["metadata"], strict=True):
            if text is not None:
                level = (known or {}).get("level")
                parts.append(Heading(text, level) if level else text)
            elif url is not None:
                facts = {key: value for key, value in (known or {}).items() if value is not None}
                own = {key: facts.pop(key) for key in ("alt", "width", "height") if key in facts}
                parts.append(Image(url, **own, facts=facts))
        return cls(row["id"], tuple(parts), dict(row["general_metadata"] or {}))


def _metadata(part: str | Image) -> dict[str, Any] | None:
    if isinstance(part, Image):
        return {"alt": part.alt, "width": part.width, "height": part.height, **part.facts}
    return {"level": part.level} if isinstance(part, Heading) else None
