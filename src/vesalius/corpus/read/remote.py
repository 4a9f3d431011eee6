"""Archives as seekable streams: files, http(s) and s3.

Remote ones come as they are read, nothing is downloaded first; a connection that drops is opened again at the byte
where it was, and one that stays away is an error with code `network`. Knows transport; leaves what the bytes mean to
readers.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from vesalius.errors import VesaliusError

SCHEMES = ("http://", "https://", "s3://")
_BUFFER = 1 << 16  # bytes
_KEPT = 4 * _BUFFER  # back that cost no request
_RANGE = 8 << 20  # bytes that are asked of S3 at a time
_TRIES = 5  # in a row without a byte
_PAUSE = 0.5  # seconds before the second try, doubled for each after it
_SILENCE = 60  # seconds without a byte after which a connection counts as dropped


def is_remote(path: str | Path) -> bool:
    """Whether it is an address that `open_stream` would ask a network for."""
    return str(path).startswith(SCHEMES)


def open_stream(path: str | Path) -> IO[bytes]:
    """A buffered stream that can seek: at no cost a little back, for one request elsewhere.

    Raises:
        VesaliusError: code `unreadable`, no such file; `network`, not to be reached, then or while reading; `packages`.
    """
    try:
        return io.BufferedReader(_Remote(str(path)), _BUFFER) if is_remote(path) else open(path, "rb", _BUFFER)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise VesaliusError(problem, file=path, remedy="check the path", code="unreadable") from None


class _Remote(io.RawIOBase):
    """Bytes from `offset` on, however often the connection drops."""

    def __init__(self, url: str):
        self.url, self.offset = url, 0
        self._kept = b""
        self._end = 0  # of what is kept, which is where the connection is
        self._open, self._dropped = _s3(url) if url.startswith("s3://") else _http(url)
        self._stream: Any = None
        self._patiently(lambda: None)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        offset += self.offset if whence == io.SEEK_CUR else 0
        if whence == io.SEEK_END or offset < 0:
            raise io.UnsupportedOperation("only from the start")
        self.offset = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        if not 0 <= self._end - self.offset <= len(self._kept):
            self._drop()
            self._kept, self._end = b"", self.offset
        if self.offset == self._end:
            came = self._patiently(lambda: self._stream.read(len(buffer)))
            self._kept, self._end = (self._kept + came)[-_KEPT:], self._end + len(came)
        else:
            came = self._kept[self.offset - self._end :][: len(buffer)]
        buffer[: len(came)] = came
        self.offset += len(came)
        return len(came)

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        for attempt in range(_TRIES):
            try:
                self._stream = self._stream or self._open(self._end)
                return ask()
            except (FileNotFoundError, PermissionError) as error:
                remedy = "check the address, and who may read it"
                raise VesaliusError("is not there to read", file=self.url, remedy=remedy, code="unreadable") from error
            except self._dropped as error:
                self._drop()
                if attempt + 1 == _TRIES:
                    problem = f"cannot be reached ({str(error) or type(error).__name__})"
                    remedy = "check the address and the network, then run it again"
                    raise VesaliusError(problem, file=self.url, remedy=remedy, code="network") from error
                time.sleep(_PAUSE * 2**attempt)


def _http(url: str) -> tuple[Callable[[int], Any], tuple[type[Exception], ...]]:
    try:
        import aiohttp
        import fsspec
    except ImportError as error:
        raise _missing(url, error) from None
    # Bytes as they lie on the server: a .gz that it calls an encoding stays a .gz, and offsets stay true.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE, sock_read=_SILENCE)
    files = fsspec.filesystem("http", client_kwargs={"auto_decompress": False, "timeout": timeout})
    known: dict[str, str | None] = {}

    def open_at(offset: int) -> Any:
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        # A size is named so that nobody asks for it: this is a stream.
        stream = files.open(url, block_size=0, size=1, headers=headers)
        if known.setdefault("tag", stream.r.headers.get("ETag")) != stream.r.headers.get("ETag"):
            remedy = "run it again, from its start"
            raise VesaliusError("changed while it was read", file=url, remedy=remedy, code="changed")
        left = 0 if stream.r.status == 206 else offset  # a server without ranges begins anew
        while left > 0 and (skipped := stream.read(min(left, _RANGE))):
            left -= len(skipped)
        return stream

    return open_at, (aiohttp.ClientError, OSError, TimeoutError)


def _s3(url: str) -> tuple[Callable[[int], Any], tuple[type[Exception], ...]]:
    try:
        import aiohttp
        import botocore.exceptions
        import s3fs
    except ImportError as error:
        raise _missing(url, error) from None
    files = s3fs.S3FileSystem()

    def open_at(offset: int) -> Any:
        try:
            # Asks for ranges of this size, and that they be of the same object.
            stream = files.open(url, "rb", block_size=_RANGE, cache_type="readahead")
        except botocore.exceptions.NoCredentialsError:
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give its https address"
            raise VesaliusError("needs credentials", file=url, remedy=remedy, code="unreadable") from None
        stream.seek(offset)
        return stream

    return open_at, (aiohttp.ClientError, botocore.exceptions.BotoCoreError, OSError, TimeoutError)


def _missing(url: str, error: ImportError) -> VesaliusError:
    remedy = "pip install 'vesalius[remote]'"
    return VesaliusError(f"needs the package {error.name}", file=url, remedy=remedy, code="packages")
