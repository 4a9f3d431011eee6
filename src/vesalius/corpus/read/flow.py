"""The bytes of an archive in order, unzipped, a little ahead of who reads them.

Knows gzip members, which hold a record each (or all of them, or pieces of them, as some tools zip), and where the next
sound one begins after a broken one. Holds no more than it is asked to keep. Leaves what a record is to `warc.py`,
except for how one begins.
"""

import re
import zlib
from collections.abc import Iterator
from typing import IO

from vesalius.errors import VesaliusError

GZIP = b"\x1f\x8b\x08"
_MARK = re.compile(rb"WARC/\d\.\d{1,2}\r?\n")  # how a record begins
_MARK_AT_MOST = 16  # bytes
_END = re.compile(rb"\n\r?\n|\n(?=WARC/\d\.\d{1,2}\r?\n)")  # of a header, or of what should have been one
_GAP = b"\r\n\r\n"
_CUT = "ends in the middle of a record: the file was cut"
_PIECE = 1 << 16
_FIRST = 1 << 10  # compressed bytes that are enough to see what a member holds
_GUESSES = 100_000  # places that look like a member's begin and are none, after which a file is given up


class Damaged(VesaliusError):
    """A gzip member that cannot be unzipped to its end."""


class Flow:
    """What follows an offset: of a gzipped archive one member, of a plain one all there is.

    Attributes:
        at: bytes taken so far, unzipped.
        end: offset of what follows the member; None before it has ended, and where nothing follows.
        wary: a record of it had a wrong length: none is believed past the begin of another record.

    Methods raise `Damaged` (code `damaged`, or `truncated` where the file ends).
    """

    def __init__(self, stream: IO[bytes], offset: int, zipped: bool, skip: int = 0):
        self.at, self.wary, self.zipped = 0, False, zipped
        self.end: int | None = None
        self._ahead, self._stream = b"", stream
        self._pieces = self._unzipped(offset) if zipped else self._plain(offset)
        self.skip(skip)

    def _plain(self, offset: int) -> Iterator[bytes]:
        self._stream.seek(offset)
        while piece := self._stream.read(_PIECE):
            yield piece

    def _unzipped(self, offset: int) -> Iterator[bytes]:
        stream = self._stream
        stream.seek(offset)
        unzip, zipped = zlib.decompressobj(31), b""
        while not unzip.eof:
            if not zipped and not (zipped := stream.read(_PIECE)):
                raise Damaged(_CUT, code="truncated")
            try:
                piece = unzip.decompress(zipped, _PIECE)
            except zlib.error as error:
                raise Damaged(f"is damaged ({error})", code="damaged") from None
            left = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
            offset += len(zipped) - len(left)
            zipped = left
            if piece:
                yield piece
        self.end = offset if zipped or stream.read(1) else None

    def _more(self, joined: bool = False) -> bool:
        """Looks further ahead; False at the end, which `joined` is not that of a member but of its record."""
        piece = next(self._pieces, b"")
        if not piece and joined and self.end and next_member(self._stream, self.end, 1) is None:
            self._pieces, self.end = self._unzipped(self.end), None
            piece = next(self._pieces, b"")
        self._ahead += piece
        return bool(piece)

    def drop_newlines(self) -> bool:
        """Passes over them; whether anything comes after."""
        while True:
            left = self._ahead.lstrip(b"\r\n")
            self.at += len(self._ahead) - len(left)
            self._ahead = left
            if left or not self._more():
                return bool(left)

    def at_mark(self) -> bool:
        """Whether a record begins here."""
        while len(self._ahead) < _MARK_AT_MOST and self._more(joined=b"WARC/".startswith(self._ahead[:5])):
            pass
        return _MARK.match(self._ahead) is not None

    def at_gap(self) -> bool:
        """Whether the two line ends come here that part records."""
        while len(self._ahead) < len(_GAP) and self._more():
            pass
        return self._ahead.startswith(_GAP)

    def to_mark(self) -> bool:
        """Goes on to where the next record begins; False, and the end, where none does."""
        while (mark := _MARK.search(self._ahead, 1)) is None:
            # A mark that has only begun stays, and a byte before it: a record that begins here has been met.
            self._take(max(0, len(self._ahead) - _MARK_AT_MOST))
            if not self._more(joined=True):
                self._take(len(self._ahead))
                return False
        self._take(mark.start())
        return True

    def head(self, most: int) -> bytes | None:
        """Up to the first empty line, and passes over it.

        None where it does not come within `most` bytes, which then are passed over, or not before the next record, to
        which is then gone.
        """
        begin = 0
        while (end := _END.search(self._ahead, begin)) is None and len(self._ahead) < most:
            begin = max(0, len(self._ahead) - _MARK_AT_MOST)
            if not self._more(joined=True):
                if not self.zipped:
                    raise Damaged(_CUT, code="truncated")
                break
        size = end.end() if end else most
        head = self._take(min(size, most))
        return head if end and size <= most and len(end[0]) > 1 else None

    def take(self, size: int, keep: int) -> tuple[bytes, int]:
        """Passes over `size` bytes, or as many as come: the first `keep` of them, and how many came."""
        kept, passed = [], 0
        while passed < size and (self._ahead or self._more(joined=True)):
            step = min(size - passed, len(self._ahead))
            if self.wary:
                while len(self._ahead) < step + _MARK_AT_MOST and self._more():
                    pass
                mark = _MARK.search(self._ahead, 0, step + _MARK_AT_MOST)
                if mark and mark.start() < step:
                    step, size = mark.start(), passed + mark.start()
            piece = self._take(step)
            if passed < keep:
                kept.append(piece[: keep - passed])
            passed += step
        return b"".join(kept), passed

    def skip(self, size: int) -> int:
        """Passes over `size` bytes, or as many as come."""
        return self.take(size, 0)[1]

    def _take(self, size: int) -> bytes:
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        self.at += len(taken)
        return taken


def next_member(stream: IO[bytes], offset: int, within: int | None = None) -> int | None:
    """Where, at or after an offset (`within` so many bytes), the next member begins that begins with a record."""
    guesses = 0
    while guesses < _GUESSES:
        stream.seek(offset)
        block = stream.read(_PIECE + _FIRST if within is None else within + _FIRST)
        span = within or _PIECE
        place = block.find(GZIP, 0, span + len(GZIP) - 1)
        while place >= 0 and guesses < _GUESSES:
            if _begins_with_record(block[place : place + _FIRST]):
                return offset + place
            guesses += 1
            place = block.find(GZIP, place + 1, span + len(GZIP) - 1)
        if within or len(block) <= span:
            return None
        offset += span
    return None


def _begins_with_record(zipped: bytes) -> bool:
    try:
        return _MARK.match(zlib.decompressobj(31).decompress(zipped, _MARK_AT_MOST)) is not None
    except zlib.error:
        return False
