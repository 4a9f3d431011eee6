"""Subtitles: what is said, once, as sentences with their times."""

import time
from pathlib import Path

import pytest

from vesalius.corpus.read import subtitles
from vesalius.corpus.read.subtitles import Cue, parse, sentences
from vesalius.errors import VesaliusError


def said(text: str) -> list[str]:
    return [one.text for one in sentences(parse(text))]


SUBRIP = """1
00:00:01,000 --> 00:00:03,500
<i>We open</i> the {\\an8}sella &amp; see
the tumour.

2
00:00:03,500 --> 00:00:05,000
Dura first. Then

3
00:01:05,000 --> 01:00:06,000
the <font color="#fff">gland</font>.
"""

# As automatic captions are written: what was said stays for a while above what is said.
ROLLING = """WEBVTT
Kind: captions
Language: en

STYLE
::cue { color: lime }

NOTE nobody says this

00:00:00.160 --> 00:00:02.350 align:start position:0%
 
so<00:00:00.480><c> this</c><00:00:00.800><c> is</c>

00:00:02.350 --> 00:00:02.360 align:start position:0%
so this is
 

00:00:02.360 --> 00:00:04.310 align:start position:0%
so this is
the<00:00:02.600><c> pituitary</c><00:00:03.000><c> gland</c>

00:00:04.310 --> 00:00:04.320 align:start position:0%
the pituitary gland
 

00:00:04.320 --> 00:00:06.000 align:start position:0%
the pituitary gland
okay

00:00:06.000 --> 00:00:06.010 align:start position:0%
okay
 

00:00:06.010 --> 00:00:08.000 align:start position:0%
okay
now<00:00:07.000><c> we</c><00:00:07.500><c> cut</c>
"""


def test_cues_become_sentences_without_tags() -> None:
    assert said(SUBRIP) == ["We open the sella & see the tumour.", "Dura first.", "Then", "the gland."]
    first, second, *_ = sentences(parse(SUBRIP))
    assert (first.start, first.end) == (1.0, 3.5)
    assert second.start == 3.5 and second.end == pytest.approx(4.5)


def test_a_rolling_caption_is_said_once() -> None:
    assert said(ROLLING) == ["so this is the pituitary gland okay now we cut"]


def test_what_is_truly_said_twice_stays() -> None:
    times = ["00:01.000 --> 00:02.000", "00:02.000 --> 00:03.000", "00:09.000 --> 00:10.000"]
    assert said("\n\n".join(f"{t}\nNo." for t in times)) == ["No.", "No.", "No."]
    assert said(f"{times[0]}\nCut here now.\n\n{times[2]}\nCut here now.") == ["Cut here now."] * 2


def test_overlapping_cues_are_merged_in_order_of_time() -> None:
    text = (
        "00:03.000 --> 00:06.000\nsee the gland.\n\n00:01.000 --> 00:04.000\nNow we\n\n00:02.000 --> 00:05.000\nwe can"
    )
    assert said(text) == ["Now we can see the gland."]


def test_speech_without_full_stops_ends_at_pauses_and_at_length() -> None:
    text = "\n\n".join(
        f"00:{i:02}.000 --> 00:{i + 1:02}.000\n" + " ".join(f"w{i}x{j}" for j in range(10)) for i in range(13)
    )
    assert [len(one.split()) for one in said(text)] == [60, 60, 10]
    assert said("00:01.000 --> 00:02.000\none\n\n00:05.000 --> 00:06.000\ntwo") == ["one", "two"]


def test_numbers_of_cues_are_not_said_though_empty_lines_are_missing() -> None:
    assert said("1\n00:01,000 --> 00:02,000\nOne.\n2\n00:02,000 --> 00:03,000\nTwo.\n42") == ["One.", "Two.", "42"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    text = "1\r\n00:00:01,000 --> 00:00:03,000\r\nÜber die Größe der Hypophyse: „schön“.\r\n"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "a.srt").write_bytes(mark + text.encode(encoding))
    assert [one.text for one in subtitles.read(tmp_path / "a.srt")] == ["Über die Größe der Hypophyse: „schön“."]


def test_what_is_no_subtitle_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(VesaliusError, match="holds no subtitle"):
        subtitles.read(tmp_path / "a.srt")
    (tmp_path / "a.srt").write_bytes(bytes(subtitles.LARGEST + 1))
    with pytest.raises(VesaliusError, match="larger than"):
        subtitles.read(tmp_path / "a.srt")


@pytest.mark.parametrize(
    "hostile",
    [
        "00:00:01,000 --> 00:00:02,000\n" + "<" * 10**6,
        "00:00:01,000 --> 00:00:02,000\n1" + " " * 10**6 + "x\n00:00:01,000 --> 00:00:02,000\n",
        "00:00:01,000 --> 00:00:02,000\n" + "a a " * 10**5,
        "99:99:99,999 --> 00:00:00,000\nx\n\n" * 10**4,
        "\n" * 10**6 + "-->" * 10**5,
        "&#x110000;&#0;&" * 10**5 + "\n00:00:01,000 --> 00:00:02,000\n" + "{\\" * 10**6,
    ],
)
def test_nothing_hostile_takes_long(hostile: str) -> None:
    began = time.monotonic()
    list(sentences(parse(hostile)))
    assert time.monotonic() - began < 3


def test_sentences_of_nothing_are_none() -> None:
    assert list(sentences([])) == [] and list(sentences([Cue(0, 1, "")])) == []
