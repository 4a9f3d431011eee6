"""Images that need no network: figures beside an article, frames of a video, pages of a PDF; stored by the same rules.

A page can name `/etc/passwd`. So only what lies beneath one of the policy's `roots` is opened, links followed first.
"""

import io
import os
import re
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from vesalius.corpus.images import record
from vesalius.corpus.images.kinds import kind_of
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import Failed, Fetched
from vesalius.corpus.images.store import Store
from vesalius.errors import VesaliusError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_INSIDE = re.compile(r"#(?:t=\d+(?:\.\d+)?|(?P<page>page=\d+))\Z")
_CHUNK = 1 << 20
_QUALITY = 95  # of a frame or a page as JPEG, colours in full


def is_local(url: str) -> bool:
    """Whether it is a path, not an address."""
    return not _SCHEME.match(url.strip())


def take(url: str, store: Store, policy: Policy) -> Fetched:
    """What becomes of a path, a frame of a video or a page of a PDF; a pure function of files, for workers too.

    Raises:
        VesaliusError: code `space`.
    """
    begin, date = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    known: dict = {}
    status, error = record.OK, ""
    try:
        known = _take(url, store, policy)
    except Failed as failed:
        status, error = failed.status, failed.error
    except VesaliusError as problem:
        if problem.code == "space":
            raise
        status, error = record.UNREADABLE, problem.problem
    except Exception as defect:  # one image never stops a run
        status, error = record.UNREADABLE, f"{type(defect).__name__}: {defect}"[:200]
    seconds = round(time.perf_counter() - begin, 3)
    return Fetched(url, "", status, error, date=date, robots="local", attempts=1, seconds=seconds, **known)


def _take(url: str, store: Store, policy: Policy) -> dict:
    inside = _INSIDE.search(url)
    path = _beneath(url[: inside.start()] if inside else url, policy.roots)
    with store.part() as part:
        if inside:
            part.write(_jpeg(f"{path}{inside[0]}", page=bool(inside["page"])))
        else:
            with open(path, "rb") as stream:
                while (piece := stream.read(_CHUNK)) and part.size <= policy.max_bytes:
                    part.write(piece)
        if part.size > policy.max_bytes:
            raise Failed(record.LARGE, f"has more than {policy.max_bytes:,} bytes")
        if not part.size:
            raise Failed(record.EMPTY, "has no bytes")
        kind = kind_of(part.head)
        if kind not in policy.kinds:
            raise Failed(record.TYPE, f"is {kind}")
        digest, name = part.keep(kind)
        return {"kind": kind, "bytes": part.size, "sha256": digest, "path": name}


def _beneath(path: str, roots: tuple[Path, ...]) -> Path:
    """A regular file beneath one of the roots, links followed."""
    try:
        found = Path(path).resolve(strict=True)
        if not any(found.is_relative_to(root.resolve()) for root in roots):
            raise Failed(record.OUTSIDE, "lies beneath none of the folders that may be read")
        if not stat.S_ISREG(found.stat().st_mode):  # a pipe would be read forever
            raise Failed(record.UNREADABLE, "is no file")
        return found
    except (OSError, ValueError, RuntimeError) as error:
        inside = any(Path(os.path.abspath(path)).is_relative_to(root.absolute()) for root in roots)
        if not inside:  # whether it is there is nobody's business
            raise Failed(record.OUTSIDE, "lies beneath none of the folders that may be read") from None
        raise Failed(record.UNREADABLE, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _jpeg(url: str, page: bool) -> bytes:
    from PIL import Image

    from vesalius.corpus.read import pdf, video

    stream = io.BytesIO()
    pixels = pdf.page_image(url) if page else video.frame(url)
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue()
