"""Subtitles as sentences: SubRip (.srt) and WebVTT (.vtt), in whatever encoding.

Knows how captions are written: tags, entities, lines that roll on from cue to cue and so come again. Leaves when the
pictures are to `video.py`.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vesalius.errors import VesaliusError

LARGEST = 16 << 20  # bytes; a day of speech is a tenth of it
_PAUSE = 2.0  # seconds without a word, after which a sentence has ended
_WORDS = 60  # words, after which it has ended too: automatic captions have no full stops
_ROLLING = 0.3  # seconds between two cues of which the second may repeat what the first says
_BLINK = 0.05  # seconds; a cue so short only shows how captions roll
_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"^[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}[^\n]*$", re.MULTILINE)
_TAG = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
_NUMBER = re.compile(r"\n[ \t]*\d{1,9}\Z")  # of the SubRip cue that comes next
_STOP = re.compile(r"[.!?…][\"'”’)\]]*$|[。！？][」』”’）]*$")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words and when they are said, in seconds."""

    start: float
    end: float
    text: str


def read(path: Path) -> list[Cue]:
    """The cues of a file, in order of time.

    Raises:
        VesaliusError: code `unreadable`; `large`; `content`, no cue in it.
    """
    try:
        with path.open("rb") as stream:
            found = stream.read(LARGEST + 1)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise VesaliusError(problem, file=path, remedy="check the path", code="unreadable") from None
    if len(found) > LARGEST:
        problem = f"is larger than {LARGEST >> 20} MiB"
        raise VesaliusError(problem, file=path, remedy="these are no subtitles", code="large")
    if not (cues := parse(_decoded(found))):
        raise VesaliusError("holds no subtitle", file=path, remedy="give SubRip or WebVTT", code="content")
    return cues


def parse(text: str) -> list[Cue]:
    """The cues of a text; what is none is passed over."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    times = list(_TIMES.finditer(text))
    cues = []
    for number, this in enumerate(times, 1):
        following = times[number].start() if number < len(times) else None
        said = text[this.end() : following]
        # A cue ends at an empty line; where SubRip has none, before the number of the next one.
        said, ended, _ = said.strip("\n").partition("\n\n")
        start, end = _seconds(*this.groups()[:4]), _seconds(*this.groups()[4:])
        if following and not ended:
            said = _NUMBER.sub("", f"\n{said.rstrip()}")
        if said := clean(said):
            cues.append(Cue(start, max(start, end), said))
    return sorted(cues, key=lambda cue: (cue.start, cue.end))


def clean(said: str) -> str:
    """The words of a cue: no tags, entities as the characters that they are, one line."""
    return " ".join(html.unescape(_TAG.sub("", said)).split())


def sentences(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Words of all cues as sentences, each with its time; what a rolling caption repeats is said once."""
    words: list[str] = []
    start = end = 0.0
    for cue in _once(cues):
        if words and cue.start - end > _PAUSE:
            yield Cue(start, end, " ".join(words))
            words = []
        own = cue.text.split()
        for number, word in enumerate(own):
            if not words:
                # Within a cue, time goes by the word.
                start = cue.start + (cue.end - cue.start) * number / len(own)
            words.append(word)
            end = cue.start + (cue.end - cue.start) * (number + 1) / len(own)
            if _STOP.search(word) or len(words) >= _WORDS:
                yield Cue(start, end, " ".join(words))
                words = []
    if words:
        yield Cue(start, end, " ".join(words))


def _once(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues without the words with which they repeat those just said."""
    said: list[str] = []
    end, blink = -_ROLLING, False
    for cue in cues:
        words = cue.text.split()
        near = cue.start - end <= _ROLLING
        rolls = near and (blink or cue.end - cue.start < _BLINK or cue.start < end)
        again = next((n for n in range(min(len(said), len(words)), 0, -1) if said[-n:] == words[:n]), 0)
        if not near or (again == 1 and not rolls):  # one word may well be said twice
            again = 0
        if words[again:]:
            yield Cue(cue.start, cue.end, " ".join(words[again:]))
        said = ((said if near else []) + words[again:])[-2 * _WORDS :]
        end, blink = max(end, cue.end), cue.end - cue.start < _BLINK


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")


def _decoded(found: bytes) -> str:
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if found.startswith(mark):
            return found.decode(encoding, "replace")
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError:
        return bytes_to_str(found, detect_encoding(found) or "cp1252")
