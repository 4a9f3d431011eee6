"""What is asked for, what came of it, and the words for it.

A status is `OK` or a reason; reasons are codes for tables, `error` says it to people. `NETWORK` are those that another
day may mend: `fetch_all(..., again=NETWORK)` asks for them once more.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

OK = "ok"

# Of the network or the server's load.
DNS, CONNECT, TIMEOUT, DROPPED, BUSY, SERVER = "dns", "connect", "timeout", "dropped", "busy", "server"
# Given up for now: its deadline, its turn at the host never came, its host answers nobody, robots.txt cannot be had.
DEADLINE, CROWDED, DOWN, ROBOTS_UNREACHABLE = "deadline", "crowded", "down", "robots_unreachable"
# For good: not asked at all,
URL, SCHEME, PRIVATE, NO_HOST, OUTSIDE = "url", "scheme", "private", "no_host", "outside"
# refused by its owner,
ROBOTS, NOAI, TDM = "robots", "noai", "tdm"
# or not what was hoped for.
HTTP, REDIRECTS, TLS, PROTOCOL, ENCODING = "http", "redirects", "tls", "protocol", "encoding"
LARGE, TYPE, EMPTY, UNREADABLE = "large", "type", "empty", "unreadable"

RETRIED = frozenset({DNS, CONNECT, TIMEOUT, DROPPED, BUSY, SERVER})
NETWORK = RETRIED | {DEADLINE, CROWDED, DOWN, ROBOTS_UNREACHABLE}
STRAGGLERS = frozenset({DEADLINE, CROWDED})
REFUSED = frozenset({SCHEME, PRIVATE, OUTSIDE, ROBOTS, NOAI, TDM})


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image of a document.

    Attributes:
        url: http or https; or a path, a frame of a video (`talk.mp4#t=12.480`), a page of a
            PDF (`leaflet.pdf#page=3`), beneath one of the policy's roots.
        document: id of the document that it belongs to.
        page: what the document's facts say of its owner's wishes: `robots` (X-Robots-Tag or `<meta name="robots">`, a
            text or several), `tdm_reservation`.
    """

    url: str
    document: str = ""
    page: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of a `Wanted`.

    Attributes:
        url: as it was asked, without fragment (of a frame or a page with it).
        document: as in `Wanted`.
        status: `OK`, or the reason why there is no image.
        error: the reason for people; "" where there is none.
        http: status of the last response; None where none came.
        final_url: after redirects.
        type: Content-Type as the server said it, which nobody relies on.
        kind: what the bytes are: jpeg, png, ...
        bytes: size, as stored.
        sha256: of the bytes, hexadecimal.
        path: of the file, relative to the folder; None where there is none.
        date: when it was asked last, UTC, ISO 8601; None where it was not.
        modified: Last-Modified as the server said it.
        robots: what its owner said: `allowed`, `absent` (no robots.txt), `disallowed`, `unreachable`, `off` (nobody
            asked), `local`, or the words that refused it (`noai`, `tdm-reservation`, `ai-train=no`, ...).
        attempts: times that it was asked.
        seconds: of work, waiting for its turn left out.
        before: whether an earlier run asked it, or an earlier document of this one.
    """

    url: str
    document: str
    status: str
    error: str = ""
    http: int | None = None
    final_url: str | None = None
    type: str | None = None
    kind: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    path: str | None = None
    date: str | None = None
    modified: str | None = None
    robots: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    before: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is an image."""
        return self.status == OK

    def facts(self) -> dict[str, Any]:
        """What of it belongs among an `Image`'s facts: not which document asked, nor words that tell of our network."""
        left_out = {"url", "document", "before", "error"}
        return {key: value for key, value in asdict(self).items() if key not in left_out and value not in (None, "")}


class Failed(Exception):
    """Inside: an image that is not to be had, before it becomes a `Fetched`.

    Args:
        status: of `Fetched`.
        error: of `Fetched`.
        pause: seconds that the server asks to be left alone.
        final: whether it need not be tried again now, whatever the status.
    """

    def __init__(self, status: str, error: str = "", pause: float | None = None, *, final: bool = False):
        super().__init__(error or status)
        self.status, self.error, self.pause, self.final = status, error, pause, final
