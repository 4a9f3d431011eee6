"""Many images, fetched at once and kept: what is known already is not asked again.

    for fetched in fetch_all(wanted, folder, Policy(contact="https://example.org/bot")):
        ...                                   # as they come; folder/fetched.sqlite remembers, folder/ab/… holds them
    fetch_all(wanted, folder, again=NETWORK)  # later: also those that another day may mend

One process fetches into a folder, for limits per host hold within a process: give each machine the images of its own
hosts (`share_of`). Leaves what an image shows to `check.py`.
"""

import asyncio
import contextlib
import json
import queue
import sqlite3
import threading
import zlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vesalius.corpus.images import record
from vesalius.corpus.images.local import is_local, take
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.images.record import Fetched, Wanted
from vesalius.corpus.images.store import Store
from vesalius.errors import VesaliusError
from vesalius.run import Run, Unit

STATE = "fetched.sqlite"
_TOGETHER = 256  # taken up before it is looked whether something has come
_STAMP = "1"  # of the form of the rows


def share_of(url: str, shares: int) -> int:
    """Which of some machines fetches a URL: all of a host the same, on every run."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return zlib.crc32(host.encode("utf-8", "replace")) % shares


def fetch_all(
    wanted: Iterable[Wanted],
    folder: str | Path,
    policy: Policy = Policy(),
    *,
    again: Collection[str] = (),
    lookup: Any = None,
) -> Iterator[Fetched]:
    """What came of each of the wanted images, in the order in which they come; exactly one for each.

    A result is on disk before it is handed on. Kill it at any moment: the same call goes on, and asks nobody twice but
    for what was under way. A URL that several documents want is asked once.

    Args:
        wanted: as many as there are; taken up as they are needed.
        folder: for images and for `fetched.sqlite`; one process at a time.
        policy: see there.
        again: statuses of which known results do not count: `NETWORK`, or any others.
        lookup: see `addresses.Lookup`; this machine's resolver by default.

    Raises:
        VesaliusError: code `packages`; `busy`, another process fetches into the folder; `space`, the disk is full;
            `success`, so few of the last images came that something is wrong.
    """
    store = Store(folder)
    with Run(Path(folder) / STATE) as run:
        store.clean()
        with _Background(store, policy, lookup) as background:
            yield from _Driver(run, store, policy, frozenset(again), background).results(wanted)


def known(folder: str | Path, urls: Iterable[str]) -> Iterator[Fetched]:
    """What is known of some images, in order; nothing of those that were never asked. For any process."""
    with contextlib.closing(sqlite3.connect(f"{(Path(folder) / STATE).resolve().as_uri()}?mode=ro", uri=True)) as file:
        for url in urls:
            query = "SELECT payload FROM units WHERE key = ? AND stamp = ?"
            if row := file.execute(query, (_key(url), _STAMP)).fetchone():
                yield replace(Fetched(**json.loads(row[0])), url=url)


def _key(url: str) -> str:
    """Under which a result is kept."""
    url = url.encode("utf-8", "replace").decode()  # a file of SQLite takes nothing else
    return url if is_local(url) else url.strip().partition("#")[0]


class _Driver:
    """In the caller's thread: takes up, remembers, hands on."""

    def __init__(self, run: Run, store: Store, policy: Policy, again: frozenset[str], background: "_Background"):
        self._run, self._store, self._policy, self._again = run, store, policy, again
        self._background = background
        self._waiting: dict[str, list[Wanted]] = {}
        self._held = 0
        self._asked: set[str] = set()
        self._watch = _Watch(policy)

    def results(self, wanted: Iterable[Wanted]) -> Iterator[Fetched]:
        intake: Iterator[Wanted] | None = iter(wanted)
        while intake or self._waiting:
            for _ in range(_TOGETHER):
                if intake is None or self._held >= self._policy.window:
                    break
                one = next(intake, None)
                if one is None:
                    intake = None
                elif (known := self._begin(one)) is not None:
                    yield known
            full = intake is None or self._held >= self._policy.window
            came = self._background.take(wait=full and bool(self._waiting))
            for fetched in came:
                self._run.put(_unit(fetched.url), asdict(fetched), fetched.seconds)
            self._run.commit()
            for fetched in came:
                first, *others = self._waiting.pop(fetched.url)
                self._held -= 1 + len(others)
                yield replace(fetched, url=first.url, document=first.document)
                for one in others:
                    yield replace(fetched, url=one.url, document=one.document, before=True)
            self._watch.see(came)

    def _begin(self, one: Wanted) -> Fetched | None:
        """What is known of it; None where it is asked now."""
        if refusal := _refused(one, self._policy):
            status, words = refusal
            return Fetched(one.url, one.document, status, f"its page says {words}", robots=words)
        key = _key(one.url)
        if key in self._waiting:
            self._waiting[key].append(one)
            self._held += 1
            return None
        if known := self._known(key):
            return replace(known, url=one.url, document=one.document, before=True)
        self._waiting[key] = [one]
        self._held += 1
        self._background.start(key)
        return None

    def _known(self, key: str) -> Fetched | None:
        for _, payload, _, _ in self._run.payloads([_unit(key)]):
            known = Fetched(**payload)
            if known.status in self._again and key not in self._asked:
                self._asked.add(key)
                return None
            if known.ok and not self._store.has(known.path, known.bytes):
                return None
            return known
        if self._again:
            self._asked.add(key)
        return None


def _unit(key: str) -> Unit:
    return Unit(key, _STAMP, ())


def _refused(one: Wanted, policy: Policy) -> tuple[str, str] | None:
    if not one.page:
        return None
    from vesalius.corpus.images.robots import refused_by_page

    return refused_by_page(one.page, policy)


class _Watch:
    """Stops a run that gets next to nothing: a network that is down, a name server that gave up, a ban."""

    def __init__(self, policy: Policy):
        self._least = policy.least_success
        self._last: deque[bool] = deque(maxlen=policy.success_window)
        self._reasons: Counter[str] = Counter()

    def see(self, came: Iterable[Fetched]) -> None:
        """Counts what was asked; owners who refuse are no failure."""
        for fetched in came:
            reason = f"http {fetched.http}" if fetched.status == record.HTTP else fetched.status
            self._reasons[reason] += 1
            if fetched.status not in record.REFUSED:
                self._last.append(fetched.ok)
        if len(self._last) == self._last.maxlen and sum(self._last) < self._least * len(self._last):
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self._reasons.most_common())
            problem = f"only {sum(self._last):,} of the last {len(self._last):,} images came (in all: {reasons})"
            remedy = "mend what is wrong, then run it again with again=NETWORK; or lower least_success"
            raise VesaliusError(problem, remedy=remedy, code="success")


class _Background:
    """A thread with the event loop, so that downloads go on while the caller works."""

    def __init__(self, store: Store, policy: Policy, lookup: Any):
        self._store, self._policy, self._lookup = store, policy, lookup
        self._came: queue.SimpleQueue[Fetched | BaseException] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._live, name="vesalius-images", daemon=True)

    def __enter__(self) -> "_Background":
        try:
            from vesalius.corpus.images import item
        except ImportError as error:
            remedy = "pip install 'vesalius[corpus]'"
            raise VesaliusError(f"images need the package {error.name}", remedy=remedy, code="packages") from None
        self._fetcher = item.Fetcher
        self._thread.start()
        self._ready.wait()
        self.take(wait=False)  # raises what kept it from beginning
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # it is over already
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def start(self, url: str) -> None:
        """Begins with a URL."""
        self._loop.call_soon_threadsafe(self._spawn, url)

    def take(self, wait: bool) -> list[Fetched]:
        """What has come, after waiting for one at least, if so wished."""
        came = [self._came.get()] if wait else []
        while not self._came.empty():
            came.append(self._came.get())
        for error in came:
            if isinstance(error, BaseException):
                raise error
        return came  # type: ignore[return-value]

    def _live(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # a defect of ours must not leave the caller waiting
            self._came.put(error)
            self._ready.set()

    async def _main(self) -> None:
        from vesalius.corpus.images.addresses import system_lookup

        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        self._locals = asyncio.Semaphore(1)
        async with self._fetcher(self._store, self._policy, self._lookup or system_lookup) as self._client:
            self._ready.set()
            await self._over.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, url: str) -> None:
        task = self._loop.create_task(self._one(url))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _one(self, url: str) -> Fetched:
        if not is_local(url):
            return await self._client.fetch(url)
        async with self._locals:
            return await asyncio.to_thread(take, url, self._store, self._policy)

    def _done(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._came.put(task.exception() or task.result())
