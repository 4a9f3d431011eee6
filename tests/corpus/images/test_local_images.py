"""Figures and frames that lie on a disk: the same store and rules, and only from where it is allowed."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from image_server import encoded

from vesalius.corpus.document import Image as Picture
from vesalius.corpus.images import Policy, Wanted, check, fetch_all
from vesalius.corpus.images.local import is_local, take
from vesalius.corpus.images.store import Store
from vesalius.corpus.read import read


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "article"
    root.mkdir()
    (root / "fig 1#a.png").write_bytes(encoded(1))
    (root / "copy.jpg").write_bytes(encoded(1))
    (root / "text.png").write_bytes(b"root:x:0:0")
    (root / "empty.png").write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(encoded(2))
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(root / "pipe.png")
    return root


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("fig 1#a.png", "ok"),
        ("copy.jpg", "ok"),
        ("text.png", "type"),
        ("empty.png", "empty"),
        ("none.png", "unreadable"),
        ("pipe.png", "unreadable"),
        ("", "unreadable"),
        ("link.png", "outside"),
        ("../secret.png", "outside"),
        ("../none.png", "outside"),
        ("/etc/passwd", "outside"),
        ("/proc/self/environ", "outside"),
        ("none.mp4#t=1.0", "unreadable"),
        ("text.png#t=1.0", "unreadable"),
        ("a\0b", "unreadable"),
    ],
)
def test_paths(root, tmp_path, name, status):
    url = name if name.startswith("/") else f"{root}/{name}"
    one = take(url, Store(tmp_path / "out"), Policy(roots=[root]))
    assert (one.status, one.robots, one.attempts) == (status, "local", 1), one
    assert take(url, Store(tmp_path / "out"), Policy()).status == "outside"
    if one.ok:
        assert one.kind == "png" and one.sha256 in one.path and check((tmp_path / "out" / one.path).read_bytes())
    assert take(url, Store(tmp_path / "out"), Policy(roots=[root], max_bytes=9)).status in (status, "large")
    assert not list(tmp_path.glob("out/.parts/*"))


def test_they_come_with_the_others_and_are_remembered(root, tmp_path):
    wanted = [Wanted(f"{root}/copy.jpg", "a"), Wanted(f"{root}/fig 1#a.png", "b"), Wanted("/etc/passwd", "c")]
    policy = Policy(roots=[root])
    first = {one.document: one for one in fetch_all(wanted, tmp_path / "out", policy)}
    assert [first[d].status for d in "abc"] == ["ok", "ok", "outside"] and first["a"].path == first["b"].path
    (root / "copy.jpg").unlink()
    assert all(one.before for one in fetch_all(wanted, tmp_path / "out", policy))


def test_frames_of_a_video(tmp_path):
    path = tmp_path / "talk.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for i in range(20):
            pixels = np.full((240, 320, 3), 10 * i, np.uint8)
            pixels[60:180, 80:240] = 255 - 10 * i
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
    path.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nThe probe moves along the wall.\n")
    (document,) = read(path)
    urls = [part.url for part in document.parts if isinstance(part, Picture)]
    urls.append(f"{path}#t=1.000")
    found = list(fetch_all((Wanted(url) for url in urls), tmp_path / "out", Policy(roots=[tmp_path])))
    assert {one.url for one in found} == set(urls) and all(one.ok and one.kind == "jpeg" for one in found)
    checked = check((tmp_path / "out" / found[0].path).read_bytes())
    assert (checked.reason, checked.width, checked.height) == ("", 320, 240)
    (late,) = fetch_all([Wanted(f"{path}#t=99.0")], tmp_path / "out", Policy(roots=[tmp_path]))
    assert late.status == "unreadable" and "99.0" in late.error


def test_figures_of_real_articles(shared_data, tmp_path):
    folder = shared_data / "corpus" / "jats"
    wanted = []
    for path in sorted(folder.rglob("*.xml"))[:6]:
        for document in read(path):
            wanted += [Wanted(image.url, document.id) for image in document.images]
    found = list(fetch_all(wanted, tmp_path, Policy(roots=[folder], least_success=0)))
    assert len(found) == len(wanted) > 20
    there = [one for one in found if Path(one.url).is_file()]
    assert there and all(one.ok for one in there)


def test_what_is_a_path():
    assert [is_local(url) for url in ("a/b.png", "/a", "a:b", "//a/b", "http://a", "C:\\x", "")] == [
        True, True, False, False, False, False, True,
    ]  # fmt: skip
