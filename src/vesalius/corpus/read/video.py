"""A video with subtitles as a document: its frames as images, what is said as sentences, in order of time.

Frames are taken by the clock, or at changes of scene too (`options.py`). A change is a large mean difference between a
frame and the one before it, as in PySceneDetect's ContentDetector; here of Y'CbCr, which videos have, not HSV, at
64 × 36 pixels. Only addresses are made, `talk.mp4#t=12.480`; `frame` gives the pixels of one. Subtitles lie beside the
video (`talk.srt`, `talk.vtt`, `talk.en.vtt`) or in it. Only the file itself is opened, whatever it refers to.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from vesalius.corpus.document import Document, Image
from vesalius.corpus.read import subtitles
from vesalius.corpus.read.options import Video
from vesalius.corpus.read.subtitles import Cue
from vesalius.errors import VesaliusError

PIXELS = 1 << 26  # of a frame; 8K has half of it
_FORMATS = {".mkv": "matroska", ".webm": "matroska"}  # named, so that no playlist is taken for a video
_LANGUAGE = re.compile(r"(?:\.([A-Za-z]{2,3}(?:[-_]\w{2,8})*))?\.(?:srt|vtt)", re.IGNORECASE)
_TEXTS = {"subrip", "srt", "webvtt", "text", "mov_text", "ass", "ssa"}
_SMALL = (64, 36)


def read(path: str | Path, how: Video = Video()) -> Iterator[Document]:
    """The document of a video.

    Args:
        path: mp4, mov, mkv, webm.
        how: which frames, whose words.

    Raises:
        VesaliusError: code `unreadable`; `content`, no video in it; `empty`, no subtitles; `large`.
    """
    path = Path(path)
    beside = _beside(path, how.language)
    with _opened(path) as (container, video):
        zero = (container.start_time or 0) / av.time_base
        inside = None if beside else _inside(container, how.language)
        times, cues, whole = _walk(container, video, zero, inside, how)
        facts = {
            "title": container.metadata.get("title"),
            "language": beside[1] if beside else inside and inside.language,
            "subtitles": beside[0].name if beside else "embedded",
            "seconds": round(container.duration / av.time_base, 3) if container.duration else None,
            "truncated": None if whole else "video",
        }
        width, height = video.width, video.height
    spoken = list(subtitles.sentences(subtitles.read(beside[0]) if beside else cues))
    if not spoken:
        wanted = f" in {how.language!r}" if how.language else ""
        remedy = f"put {path.stem}.srt or {path.stem}.vtt beside it"
        raise VesaliusError(f"has no subtitles{wanted}", file=path, remedy=remedy, code="empty")
    images = [(time, 0, Image(f"{path}#t={time:.3f}", "", width, height, {"time": round(time, 3)})) for time in times]
    parts: list[tuple[float, int, Any]] = [*images, *((cue.start, 1, cue.text) for cue in spoken)]
    parts.sort(key=lambda part: part[:2])
    known = {key: value for key, value in facts.items() if value}
    yield Document(str(path), tuple(part for _, _, part in parts), known)


def frame(url: str) -> np.ndarray:
    """The pixels of an image of `read`: RGB, (height, width, 3), uint8.

    Raises:
        VesaliusError: code `unreadable`; `content`, no such frame.
    """
    path, _, time = url.rpartition("#t=")
    with _opened(Path(path)) as (container, video):
        zero = (container.start_time or 0) / av.time_base
        container.seek(int((float(time) + zero) * av.time_base))
        for found in container.decode(video):
            if found.time is not None and round(found.time - zero, 3) >= float(time):
                return found.to_ndarray(format="rgb24")
    raise VesaliusError(f"has no frame at {time} s", file=path, remedy="read the video again", code="content")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    try:
        form = _FORMATS.get(path.suffix.lower(), "mp4")
        with av.open(str(path), format=form, options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise VesaliusError("holds no video", file=path, remedy="leave it out", code="content")
            video = container.streams.video[0]
            if video.width * video.height > PIXELS:
                problem = f"has frames of {video.width} × {video.height}"
                raise VesaliusError(problem, file=path, remedy="make them smaller", code="large")
            video.codec_context.options = {"max_pixels": str(PIXELS)}
            video.codec_context.thread_count = 1  # many files at a time are read faster by a thread each
            yield container, video
    except (av.FFmpegError, OSError) as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise VesaliusError(problem, file=path, remedy="check the path, or copy it again", code="unreadable") from None


def _walk(container: Any, video: Any, zero: float, spoken: Any, how: Video) -> tuple[list[float], list[Cue], bool]:
    """Once through the file: times of the wanted frames, embedded cues, whether it came to its end."""
    seen: list[float] = []
    cues: list[Cue] = []
    changes: list[float] = []
    before, whole = None, True
    try:
        for packet in container.demux([video, spoken] if spoken else [video]):
            if packet.stream is not video:
                cues += _cue(packet, zero)
            elif how.scene is None:
                if packet.pts is not None:
                    seen.append(float(packet.pts * packet.time_base) - zero)
            else:
                for found in packet.decode():
                    small = (
                        found.reformat(*_SMALL, format="yuv444p", interpolation="AREA").to_ndarray().astype(np.int16)
                    )
                    if before is not None and np.abs(small - before).mean() >= how.scene:
                        changes.append(found.time - zero)
                    before = small
                    seen.append(found.time - zero)
    except av.FFmpegError:
        whole = False
    seen.sort()
    if seen and video.duration and seen[-1] < float(video.duration * video.time_base) - 1:
        whole = False
    return _chosen(seen, changes, how), cues, whole


def _chosen(seen: list[float], changes: list[float], how: Video) -> list[float]:
    chosen: list[float] = []
    coming = iter([*changes, float("inf")])
    change = next(coming)
    for time in seen:
        since = time - chosen[-1] if chosen else float("inf")
        if time >= 0 and since >= how.gap and (since >= how.every or time >= change):
            chosen.append(time)
            while change <= time:
                change = next(coming)
    return chosen


def _inside(container: Any, language: str | None) -> Any:
    """The subtitle stream to take; None if there is none of text."""
    streams = [stream for stream in container.streams.subtitles if stream.codec_context.name in _TEXTS]
    if language:
        streams = [stream for stream in streams if stream.language == language]
    return min(streams, key=lambda stream: (stream.language not in (None, "eng", "en"), stream.index), default=None)


def _cue(packet: Any, zero: float) -> list[Cue]:
    if packet.pts is None or not packet.size:
        return []
    said, name = bytes(packet), packet.stream.codec_context.name
    if name == "mov_text":  # its length, the text, styles
        said = said[2 : 2 + int.from_bytes(said[:2], "big")]
    text = said.decode("utf-8", "replace")
    if name in ("ass", "ssa"):
        text = text.split(",", 8)[-1].replace("\\N", " ").replace("\\n", " ")
    start = float(packet.pts * packet.time_base) - zero
    end = start + float((packet.duration or 0) * packet.time_base)
    return [Cue(start, end, clean)] if (clean := subtitles.clean(text)) else []


def _beside(path: Path, language: str | None) -> tuple[Path, str | None] | None:
    """The file of subtitles to take, and its language as far as its name says it."""
    found = []
    with contextlib.suppress(OSError):
        for file in path.parent.iterdir():
            tag = _LANGUAGE.fullmatch(file.name[len(path.stem) :]) if file.name.startswith(path.stem) else None
            if tag and (language is None or tag[1] == language):
                found.append((tag[1] is not None, (tag[1] or "")[:2].lower() != "en", file.name, file, tag[1]))
    return min(found)[3:] if found else None
