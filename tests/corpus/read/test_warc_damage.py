"""Hostile archives: what is broken costs itself and is told; nothing hangs, crashes or eats the memory."""

import gzip
import random
import subprocess
import sys
import time
from pathlib import Path

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_warc import member, page, response

from vesalius.corpus.document import Document
from vesalius.corpus.read import read
from vesalius.corpus.read.record import Bad, Raw
from vesalius.corpus.read.warc import records
from vesalius.errors import VesaliusError

PAGES = [response(i) for i in range(5)]
MEMBERS = [member(one) for one in PAGES]


def told(path: Path) -> list[int | str]:
    """Numbers of the pages that came, and codes of what did not."""
    found = []
    for one in records(path):
        if isinstance(one, Raw):
            found.append(int(one.url.rpartition("/")[2]))
            assert one.content == page(found[-1])
        else:
            assert one.stage == "read" and one.error and one.id.startswith(f"{path}@")
            found.append(one.code)
    return found


def broken(member: bytes) -> bytes:
    return member[:90] + bytes(byte ^ 255 for byte in member[90:120]) + member[120:]


def zipped(**how: object) -> bytes:
    return member(response(1, **how))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "told_of_it"),
    [
        (broken(MEMBERS[1]), ["damaged"]),
        (MEMBERS[1][:-6] + b"\0" + MEMBERS[1][-5:], ["damaged"]),
        (MEMBERS[1][: len(MEMBERS[1]) // 2], ["damaged"]),
        (MEMBERS[1] + b"garbage", [1, "damaged"]),
        (b"\x1f\x8b\x08" * 50, ["damaged"]),
        (b"", []),
        (member(b""), []),
        (zipped(length=10**6), ["length"]),
        (zipped(length=10**17), ["length"]),
        (zipped(length="9" * 5000), ["length"]),
        (zipped(length=30), ["length"]),
        (zipped(length=-1), ["length"]),
        (zipped(length="²"), ["length"]),
        (zipped(first="WRAC/1.0"), ["header"]),
        (zipped(head="A: " + "a" * 100_000 + "\r\n"), ["header"]),
        (member(b"WARC/1.0\r\n" * 20_000), ["header"]),
        (zipped(head="no colon\r\n\udcff\udcfe: \udcff\r\n: \r\n"), [1]),
        (zipped(head="Content-Length: 5\r\n"), ["length"]),
        (zipped(http="Content-Encoding: gzip\r\n", body=b"\0\1\2 no gzip"), ["encoding"]),
        (zipped(http="Content-Encoding: aes128gcm\r\n", body=b"\0\1"), ["encoding"]),
        (zipped(http="Content-Encoding: gzip, gzip, gzip, gzip\r\n", body=b"\0"), ["encoding"]),
    ],
)
def test_one_bad_record_costs_one_record(tmp_path: Path, second: bytes, told_of_it: list[int | str]) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join([MEMBERS[0], second, *MEMBERS[2:]]))
    assert told(path) == [0, *told_of_it, 2, 3, 4]


def test_no_page_is_given_whose_checksum_is_wrong(tmp_path: Path) -> None:
    """Though it is read in pieces, and the checksum comes last."""
    large = bytearray(member(response(1, random.Random(1).randbytes(300_000))))
    large[-8] ^= 1
    (tmp_path / "a.warc.gz").write_bytes(MEMBERS[0] + large + MEMBERS[2])
    assert told(tmp_path / "a.warc.gz") == [0, "damaged", 2]


@pytest.mark.parametrize("length", [10**6, 2_000, 30, -1, "x"])
def test_a_wrong_length_costs_one_record_of_an_archive_that_is_not_zipped(tmp_path: Path, length: int | str) -> None:
    for name, content in {
        "a.warc": PAGES[0] + response(1, length=length) + b"".join(PAGES[2:]),
        "b.warc.gz": member(PAGES[0] + response(1, length=length) + b"".join(PAGES[2:])),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert told(tmp_path / name) == [0, "length", 2, 3, 4]


def test_a_cut_archive_is_told_wherever_it_was_cut(tmp_path: Path) -> None:
    """But between two records, where nothing tells it."""
    for name, parts in {"a.warc.gz": MEMBERS, "a.warc": PAGES}.items():
        whole, ends = b"".join(parts), [sum(map(len, parts[: n + 1])) for n in range(5)]
        for cut in range(ends[1] + 20, ends[2], 7):
            (tmp_path / name).write_bytes(whole[:cut])
            # The two empty lines after a record are not missed.
            last = [2] if name == "a.warc" and cut >= ends[2] - 4 else ["truncated"]
            assert told(tmp_path / name) == [0, 1, *last], cut


@settings(max_examples=150)
@given(
    number=st.integers(0, 4),
    at=st.floats(0, 0.999),
    junk=st.binary(max_size=40),
    removed=st.integers(0, 200),
    plain=st.booleans(),
)
def test_whatever_happens_to_one_record_the_others_come_once(
    tmp_path_factory: pytest.TempPathFactory, number: int, at: float, junk: bytes, removed: int, plain: bool
) -> None:
    parts = list(PAGES if plain else MEMBERS)
    place = int(at * len(parts[number]))
    parts[number] = parts[number][:place] + junk + parts[number][min(place + removed, len(parts[number])) :]
    path = tmp_path_factory.mktemp("damage") / "a.warc"
    path.write_bytes(b"".join(parts))
    try:
        found = list(records(path))
    except VesaliusError as error:
        assert error.code == "content" and number == 0
        return
    came = [int(one.url.rpartition("/")[2]) for one in found if isinstance(one, Raw) and one.url[-1:].isdigit()]
    others = [n for n in range(5) if n != number]
    assert [n for n in came if n in others and n != number] == others, [one for one in found if isinstance(one, Bad)]


def test_many_wrong_lengths_do_not_make_reading_quadratic(tmp_path: Path) -> None:
    path, count = tmp_path / "a.warc", 4_000
    path.write_bytes(b"".join(response(i, b"<p>a", length=10**7) for i in range(count)))
    began = time.monotonic()
    assert sum(isinstance(one, Bad) for one in records(path)) == count
    assert time.monotonic() - began < 5


BIG = """
import sys
from vesalius.corpus.read import read
def most():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) >> 10
list(read(sys.argv[1]))
before = most()
for one in read(sys.argv[2]):
    print(getattr(one, "code", "page"))
print(most() - before)
"""


def test_large_pages_and_bombs_are_refused_without_being_held(tmp_path: Path) -> None:
    """A page of 100 MB, and kilobytes that would become hundreds of megabytes, in each way that they can."""
    hundred = bytes(100 << 20)
    many = bytes(60 << 20)
    inner = gzip.compress(hundred, 1)
    bombs = [
        member(response(0)),
        gzip.compress(response(1, hundred), 1),
        member(response(2, inner, "Content-Encoding: gzip\r\n")),
        member(response(3, gzip.compress(inner), "Content-Encoding: gzip, gzip\r\n")),
        member(response(4, brotli.compress(many, quality=1), "Content-Encoding: br\r\n")),
        gzip.compress(response(5, many, head="A: ".ljust(60_000, "a") + "\r\n", kind="request"), 1),
        gzip.compress(b"WARC/1.0\r\nA: " + many, 1),
        gzip.compress(response(6, many, length=50), 1),
        member(response(7)),
    ]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(bombs))
    (tmp_path / "b.warc.gz").write_bytes(bombs[0])
    command = [sys.executable, "-c", BIG, tmp_path / "b.warc.gz", tmp_path / "a.warc.gz"]
    *came, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert came == ["page", "large", "large", "large", "large", "header", "length", "page"]
    assert int(grown) < 110  # MiB: twice the largest page, its pieces and joined, and the encodings of one


def test_pages_of_any_bytes_are_documents_or_are_told(tmp_path: Path) -> None:
    """Deep nesting, wrong encodings, no markup at all."""
    bodies = [
        b"<div>" * 100_000 + b"deep" + b"</div>" * 100_000,
        bytes(range(256)) * 200,
        page(2).decode().encode("utf-16"),
        b"",
        b"<p>" + b"\xff\xfe\xfd" * 1000,
        page(5),
    ]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(member(response(i, body)) for i, body in enumerate(bodies)))
    found = list(read(tmp_path / "a.warc.gz"))
    assert len(found) == len(bodies) and all(isinstance(one, Document | Bad) for one in found)
    assert {one.stage for one in found if isinstance(one, Bad)} <= {"extract"}
    assert isinstance(found[-1], Document)
