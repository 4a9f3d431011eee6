"""What readers hand on besides documents: a page as it came, and what could not be read, as a value.

A generator that raises is over; one that yields `Bad` goes on. Readers of files that hold one thing raise
`VesaliusError` for it, readers of archives and folders yield a `Bad` a thing.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from vesalius.errors import VesaliusError


@dataclass(frozen=True, slots=True)
class Raw:
    """A page before its main body is taken.

    Attributes:
        id: where it lies, the same on every run: a path, or `archive@offset`.
        content: HTML, in whatever encoding.
        url: its address, "" where nobody said.
        charset: what the server said; None where it said none, or none that exists.
        offset: bytes into the archive at which `records(..., start=offset)` meets it again; 0 in a folder.
        facts: what is known of it (date, licence, robots, digest, ...), for the document's facts.
    """

    id: str
    content: bytes
    url: str = ""
    charset: str | None = None
    offset: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bad:
    """Something that could not be read: a row of the run's failures.

    Attributes:
        id: as `Raw.id`.
        stage: where it failed (`read`, `extract`, ...).
        error: a clause for people.
        code: a word for tables (`truncated`, `length`, `large`, `unreadable`, ...).
    """

    id: str
    stage: str
    error: str
    code: str

    @classmethod
    def of(cls, id: str, stage: str, error: VesaliusError) -> "Bad":
        """An error as a value."""
        return cls(id, stage, error.problem, error.code)

    def to_row(self) -> dict[str, Any]:
        """Its columns."""
        return asdict(self)
