"""Videos: frames and what is said, in order of time; the frames can be had again."""

import http.server
import shutil
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Picture

from vesalius.corpus.document import Document, Image
from vesalius.corpus.read import read, video
from vesalius.corpus.read.options import Video
from vesalius.errors import VesaliusError

SUBTITLES = """WEBVTT

00:00.500 --> 00:02.500
First we see this.

00:03.500 --> 00:05.000
Then this.

00:08.000 --> 00:09.000
At last, that.
"""
FORMATS = {".mp4": ("libx264", "mov_text"), ".mkv": ("libx264", "subrip"), ".webm": ("libvpx", None)}


def film(path: Path, scenes: list[np.ndarray], seconds: float = 3.0, rate: int = 10) -> Path:
    """Scenes of so many seconds, each with some movement."""
    height, width = scenes[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(FORMATS[path.suffix][0], rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for number in range(int(len(scenes) * seconds * rate)):
            scene = scenes[int(number / (seconds * rate))]
            frame = av.VideoFrame.from_ndarray(np.roll(scene, number % 5, axis=1), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    """Three that differ as scenes of one operation may."""
    y, x = np.mgrid[:90, :160]
    gradient = (x + y)[..., None] * np.array([0.9, 0.5, 0.4])
    return [
        np.clip(gradient * scale + shift, 0, 255).astype(np.uint8) for scale, shift in [(1, 0), (0.6, 60), (0.2, 10)]
    ]


@pytest.fixture
def operation(tmp_path: Path, scenes: list[np.ndarray]) -> Path:
    path = film(tmp_path / "talk.mp4", scenes)
    path.with_suffix(".en.vtt").write_text(SUBTITLES)
    return path


def told(document: Document) -> list[str]:
    return [part.url.rpartition("#t=")[2] if isinstance(part, Image) else part for part in document.parts]


def test_frames_by_the_clock_stand_among_what_is_said(operation: Path) -> None:
    (document,) = video.read(operation, Video(every=4))
    assert told(document) == ["0.000", "First we see this.", "Then this.", "4.000", "8.000", "At last, that."]
    assert document.id == str(operation)
    assert document.facts == {"language": "en", "subtitles": "talk.en.vtt", "seconds": 9.0}
    assert document.images[1] == Image(f"{operation}#t=4.000", "", 160, 90, {"time": 4.0})
    assert Document.from_row(document.to_row()) == document
    assert list(read(operation)) == list(video.read(operation))


@pytest.mark.parametrize("suffix", FORMATS)
def test_frames_at_changes_of_scene_show_each_scene(tmp_path: Path, scenes: list[np.ndarray], suffix: str) -> None:
    path = film(tmp_path / f"talk{suffix}", scenes)
    path.with_suffix(".vtt").write_text(SUBTITLES)
    (document,) = video.read(path, Video(every=60, scene=10))
    assert told(document) == ["0.000", "First we see this.", "3.000", "Then this.", "6.000", "At last, that."]
    for image, scene in zip(document.images, scenes, strict=True):
        pixels = video.frame(image.url)
        assert pixels.shape == scene.shape and pixels.dtype == np.uint8
        assert np.abs(pixels.astype(int) - scene).mean() < 6


def test_a_real_operation_changes_scene(tmp_path: Path, shared_data: Path) -> None:
    """Real frames of pituitary surgery; those that look at the same place are one scene."""
    files = sorted((shared_data / "surgery/pitvis_frames").glob("*.png"))
    pictures = [np.asarray(Picture.open(file).convert("RGB").resize((320, 180))) for file in files]
    path = film(tmp_path / "talk.mp4", pictures)
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nWe look at the sella.\n")
    (document,) = video.read(path, Video(every=60, scene=10))
    assert told(document) == ["0.000", "We look at the sella.", "6.000", "9.000"]


def test_every_frame_is_had_again_as_it_was(operation: Path) -> None:
    with av.open(str(operation)) as container:
        whole = {f"{frame.time:.3f}": frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    for time, pixels in list(whole.items())[::7]:
        assert np.array_equal(video.frame(f"{operation}#t={time}"), pixels)
    with pytest.raises(VesaliusError, match="has no frame at 99"):
        video.frame(f"{operation}#t=99.000")


def test_a_gap_is_kept_and_the_scene_behind_it_is_shown(tmp_path: Path, scenes: list[np.ndarray]) -> None:
    path = film(tmp_path / "talk.mp4", scenes, seconds=0.5)
    path.with_suffix(".vtt").write_text(SUBTITLES)
    (document,) = video.read(path, Video(every=60, scene=10, gap=0.8))
    assert [image.facts["time"] for image in document.images] == [0.0, 0.8]


ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Underline, Alignment
Style: Default,Arial,16,&Hffffff,0,0,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def with_subtitles(path: Path, plain: Path, cues: Path) -> Path:
    """The video with the subtitles in it."""
    with av.open(str(plain)) as source, av.open(str(cues)) as words, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        if path.suffix == ".mp4":
            spoken = target.add_stream("mov_text")
            spoken.codec_context.subtitle_header = ASS
        else:
            spoken = target.add_stream_from_template(words.streams.subtitles[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = pictures
                target.mux(packet)
        for packet in words.demux():
            if packet.size:
                if path.suffix == ".mp4":
                    said = av.Packet(len(bytes(packet)).to_bytes(2, "big") + bytes(packet))
                    said.pts, said.dts, said.duration = packet.pts, packet.pts, packet.duration
                    said.time_base, packet = packet.time_base, said
                packet.stream = spoken
                target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_subtitles_inside_the_video_are_taken_where_none_lie_beside_it(
    tmp_path: Path, scenes: list[np.ndarray], suffix: str
) -> None:
    cues = tmp_path / "cues.srt"
    cues.write_text("1\n00:00:00,500 --> 00:00:02,500\nFirst <i>this</i>.\n\n2\n00:00:03,500 --> 00:00:05,000\nThat.\n")
    path = with_subtitles(tmp_path / f"talk{suffix}", film(tmp_path / f"plain{suffix}", scenes), cues)
    (document,) = video.read(path, Video(every=60))
    assert document.texts == ("First this.", "That.") and document.facts["subtitles"] == "embedded"
    path.with_suffix(".vtt").write_text(SUBTITLES)
    assert next(video.read(path)).facts["subtitles"] == "talk.vtt"


def test_the_language_that_is_asked_for_is_taken(operation: Path) -> None:
    for name, word in {
        "talk.de.srt": "Hier.",
        "talk.srt": "Default.",
        "talk.notes.srt": "No.",
        "talks.srt": "No.",
    }.items():
        operation.with_name(name).write_text(f"00:00:01,000 --> 00:00:03,000\n{word}\n")
    assert next(video.read(operation)).texts == ("Default.",)
    document = next(video.read(operation, Video(language="de")))
    assert document.texts == ("Hier.",) and document.facts["language"] == "de"
    with pytest.raises(VesaliusError, match="no subtitles in 'fr'"):
        list(video.read(operation, Video(language="fr")))
    operation.with_name("talk.srt").unlink()
    assert next(video.read(operation)).facts["language"] == "en"


def test_a_broken_video_is_one_error_or_what_there_is_of_it(
    operation: Path, tmp_path: Path, scenes: list[np.ndarray]
) -> None:
    whole = operation.read_bytes()
    for content in (b"", b"no video", whole[: len(whole) // 2], bytes(10_000)):
        (tmp_path / "bad.mp4").write_bytes(content)
        (tmp_path / "bad.vtt").write_text(SUBTITLES)
        with pytest.raises(VesaliusError, match=r"cannot be read|holds no video") as caught:
            list(read(tmp_path / "bad.mp4"))
        assert caught.value.code in ("unreadable", "content")
    path = film(tmp_path / "cut.mkv", scenes)
    path.with_suffix(".vtt").write_text(SUBTITLES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    (document,) = video.read(path, Video(every=1))
    assert 1 <= len(document.images) < 9 and len(document.texts) == 3


def test_a_video_without_subtitles_says_what_to_do(tmp_path: Path, operation: Path) -> None:
    shutil.copy(operation, tmp_path / "mute.mp4")
    with pytest.raises(VesaliusError, match=r"no subtitles.*put mute.srt or mute.vtt beside it") as caught:
        list(read(tmp_path / "mute.mp4"))
    assert caught.value.code == "empty"


def test_a_playlist_in_a_videos_clothes_asks_nobody(tmp_path: Path) -> None:
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name, content in {
        "a.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}/a.ts\n",
        "b.mkv": f"ffconcat version 1.0\nfile {address}/b.mp4\n",
        "c.webm": f'<?xml version="1.0"?><MPD><BaseURL>{address}/</BaseURL></MPD>',
    }.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).with_suffix(".vtt").write_text(SUBTITLES)
        with pytest.raises(VesaliusError):
            list(read(tmp_path / name))
    server.shutdown()
    assert asked == []
