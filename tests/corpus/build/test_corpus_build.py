"""`vesalius corpus build`: what goes in comes out once, whatever dies on the way."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image as PillowImage
from transformers import CLIPTokenizerFast
from typer.testing import CliRunner

from vesalius.cli import app
from vesalius.corpus.build import build
from vesalius.corpus.build.recipe import Recipe, load_recipe
from vesalius.corpus.build.stages import scrub
from vesalius.corpus.build.tables import read_documents, write_documents
from vesalius.corpus.build.tally import Tally
from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.export import export
from vesalius.errors import VesaliusError

JATS = Path("../shared/data/corpus/jats/with_images")
WORDS = """the patient
liver kidney scan of and with have was to contrast arterial lesion biopsy that dose node vein duct
segment follow weeks clinic surgeon report image signal diffusion tumour margin stage nerve muscle"""


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS.split(), k=rng.randint(9, 16))).capitalize() + "."


def text(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(sentence(rng) for _ in range(4)) for _ in range(4)]


def html(paragraphs: list[str], title: str = "A page") -> bytes:
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    head = f"<head><meta charset=utf-8><title>{title}</title></head>"
    return f"<html>{head}<body><article><h1>{title}</h1>{body}</article></body></html>".encode()


def warc(pages: list[tuple[str, bytes]]) -> bytes:
    records = []
    for url, page in pages:
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
        head += "Content-Type: application/http; msgtype=response\r\n"
        records.append(f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n")
    return b"".join(records)


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """Three archives of 30 pages, each of its own words."""
    for number in range(3):
        pages = [
            (f"http://site{i % 4}.org/{number}/{i}", html(text(1000 * number + i), f"T{number}{i}")) for i in range(30)
        ]
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"crawl-{number}.warc").write_bytes(warc(pages))
    return tmp_path


def recipe(folder: Path, **given) -> Recipe:
    few = {"heuristics": (), "feedback": False, "privacy": False, "languages": ()}
    return Recipe(**{"sources": (str(folder / "in"),), "output": folder / "out", **few, **given})


def rows(out: Path) -> list[Document]:
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    return [document for shard in manifest["shards"] for document in read_documents(out / shard["file"])]


def test_every_page_comes_out_once_and_the_manifest_tells_bytes_and_counts(archives: Path):
    summary = build(recipe(archives), workers=2)
    documents = rows(archives / "out")
    assert len({document.facts["url"] for document in documents}) == len(documents) == 90
    assert summary.totals["documents"] == 90 and summary.tally["extract"].documents == 90
    manifest = json.loads((archives / "out" / "manifest.json").read_text("utf-8"))
    for shard in manifest["shards"]:
        assert (archives / "out" / shard["file"]).stat().st_size == shard["bytes"]
        assert pq.read_metadata(archives / "out" / shard["file"]).num_rows == shard["documents"]
    assert sum(shard["words"] for shard in manifest["shards"]) == sum(len(d.text.split()) for d in documents)


def test_tokens_are_counted_for_a_model_and_a_tokenizer_that_is_none_is_told_at_once(archives: Path, clip_checkpoint):
    summary = build(recipe(archives, tokenizer=str(clip_checkpoint)), workers=2)
    tokenizer = CLIPTokenizerFast.from_pretrained(clip_checkpoint)
    documents = rows(archives / "out")
    for document in documents[:5]:
        assert document.facts["tokens"] == len(tokenizer(document.text, add_special_tokens=False)["input_ids"])
    assert summary.totals["tokens"] == sum(document.facts["tokens"] for document in documents) > 0
    assert "tokens" not in build(recipe(archives), workers=1).totals
    with pytest.raises(VesaliusError, match="cannot be loaded as a tokenizer"):
        build(recipe(archives, tokenizer=str(archives / "in" / "crawl-0.warc")), workers=1)


def test_the_shards_load_with_datasets_and_have_the_public_columns(archives: Path):
    build(recipe(archives), workers=1)
    files = sorted(map(str, (archives / "out" / "shards").glob("*.parquet")))
    loaded = load_dataset("parquet", data_files=files, split="train", cache_dir=str(archives / "cache"))
    assert set(loaded.column_names) == {"id", "texts", "images", "metadata", "general_metadata"}
    assert all(len(row["texts"]) == len(row["images"]) == len(row["metadata"]) for row in loaded)


def test_documents_come_back_from_parquet_as_they_were(tmp_path: Path):
    image = Image("http://a/b.png", "a scan", 10, 20, {"sha256": "ab", "strange": [1, 2]})
    document = Document(
        "x", (Heading("Methods", 2), "Text.", image), {"title": "T", "url": "http://a", "odd": {"n": 1}}
    )
    write_documents([document], tmp_path / "a.parquet")
    (back,) = read_documents(tmp_path / "a.parquet")
    assert back.parts == document.parts and back.parts[0].level == 2
    assert back.facts == {**document.facts, "words": 2}


def test_near_duplicates_and_what_a_site_repeats_are_gone_and_told(tmp_path: Path):
    twice = text(1)
    pages = [
        (f"http://a.org/{i}", html([*text(10 + i), "Subscribe to our letter for news of the clinic."]))
        for i in range(12)
    ]
    pages += [("http://a.org/one", html(twice)), ("http://b.org/two", html([*twice[:-1], twice[-1] + " And more."]))]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.warc").write_bytes(warc(pages))
    summary = build(recipe(tmp_path), workers=1)
    documents = rows(tmp_path / "out")
    assert len(documents) == 13
    assert not any("Subscribe" in document.text for document in documents)
    dropped = pl.read_parquet(tmp_path / "out" / "dropped.parquet")
    assert dropped["stage"].to_list() == ["duplicates"] and "in/a.warc@" in dropped["reason"][0]
    assert summary.tally["repeated"].edits["paragraphs"] == 12


def test_a_recipe_that_is_run_again_does_nothing_and_a_new_source_is_read_alone(archives: Path):
    build(recipe(archives), workers=2)
    before = {file: file.stat().st_mtime_ns for file in (archives / "out").rglob("chunk-*.parquet")}
    build(recipe(archives), workers=2)
    (archives / "in" / "new.warc").write_bytes(warc([("http://new.org/1", html(text(77)))]))
    summary = build(recipe(archives), workers=2)
    assert summary.totals["documents"] == 91
    after = {file: file.stat().st_mtime_ns for file in (archives / "out").rglob("chunk-*.parquet")}
    assert before.items() <= after.items() and len(after) == len(before) + 2


def test_another_recipe_does_the_texts_again(archives: Path):
    build(recipe(archives), workers=2)
    assert build(recipe(archives, least_images=1), workers=2).totals["documents"] == 0


RUN = """
import sys
from pathlib import Path
from vesalius.corpus.build import build, texts
from vesalius.corpus.build.recipe import Recipe
if __name__ == "__main__":
    few = {"heuristics": (), "feedback": False, "privacy": False, "languages": ()}
    build(Recipe(sources=(sys.argv[1] + "/in",), output=Path(sys.argv[1]) / "out", **few), workers=2)
"""


def test_killed_at_any_moment_it_goes_on_and_gives_the_same(archives: Path, tmp_path: Path):
    build(recipe(archives, output=archives / "whole"), workers=2)
    expected = sorted((d.id, d.parts) for d in rows(archives / "whole"))
    (tmp_path / "run.py").write_text(RUN)
    for wait in (1.5, 2.5, 4.0):
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "run.py"), str(archives)], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    build(recipe(archives), workers=2)
    assert sorted((d.id, d.parts) for d in rows(archives / "out")) == expected


def test_a_record_that_kills_or_hangs_its_worker_is_lost_alone(archives: Path, monkeypatch, tmp_path: Path):
    """The extraction is made to die at one page and to hang at another, in the workers."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "def _patch():\n"
        "    from vesalius.corpus.read import html\n"
        "    whole = html.document\n"
        "    def document(raw):\n"
        "        if raw.url.endswith('/1/3'): os._exit(9)\n"
        "        if raw.url.endswith('/2/5'): time.sleep(3600)\n"
        "        return whole(raw)\n"
        "    html.document = document\n"
        "_patch()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked = [sys.executable, "-c", RUN.replace("**few)", "seconds=3, **few)"), str(archives)]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=200, env=os.environ)
    assert told.returncode == 0, told.stderr
    urls = {document.facts["url"] for document in rows(archives / "out")}
    assert len(urls) == 88 and not any(url.endswith(("/1/3", "/2/5")) for url in urls)
    dropped = pl.read_parquet(archives / "out" / "dropped.parquet")
    assert dropped["reason"].to_list() == ["killed its worker twice"] * 2


def test_a_source_that_is_damaged_is_told_and_the_rest_is_built(archives: Path):
    whole = (archives / "in" / "crawl-1.warc").read_bytes()
    (archives / "in" / "crawl-1.warc").write_bytes(whole[: len(whole) // 2])
    (archives / "in" / "none.warc").write_bytes(b"this is no archive" * 100)
    summary = build(recipe(archives), workers=2)
    assert 70 < summary.totals["documents"] < 80
    dropped = pl.read_parquet(archives / "out" / "dropped.parquet")
    assert dropped.filter(stage="read").height >= 2


def test_mostly_failures_end_the_run(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for i in range(4):
        (tmp_path / "in" / f"{i}.xml").write_text("no xml")
    with pytest.raises(VesaliusError, match="4 of 4 records cannot be read"):
        build(recipe(tmp_path), workers=1)


def test_what_is_wrong_with_a_recipe_is_one_line(tmp_path: Path):
    file = tmp_path / "r.yaml"
    for words, said in (
        ("sources: [in]\noutput: out\nlanguage: [en]", "has no key language — did you mean languages"),
        ("output: out", "lacks the key sources"),
        ("sources: [nothing/*.warc]\noutput: out", "nothing is there to read"),
        ("sources: [r.yaml]\noutput: out", "has a suffix that no reader knows"),
    ):
        file.write_text(words)
        with pytest.raises(VesaliusError, match=said):
            build(load_recipe(file))
    file.write_text("sources: [in]\noutput: .")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_bytes(html(text(1)))
    with pytest.raises(VesaliusError, match="a folder with something else in it"):
        build(load_recipe(file))
    assert load_recipe(file, ("memory=2GiB",)).memory == 2 << 30


def test_owners_who_say_no_are_left_out(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for name in ("yes", "no"):
        (tmp_path / "in" / f"{name}.html").write_bytes(html(text(len(name))))
    (tmp_path / "in" / "metadata.csv").write_text("path,robots,licence\nno.html,noai,\nyes.html,,CC BY\n")
    assert [d.id for d in build_and_read(tmp_path)] == ["in/yes.html"]
    assert [d.id for d in build_and_read(tmp_path, opt_out=False)] == ["in/no.html", "in/yes.html"]
    assert [d.id for d in build_and_read(tmp_path, opt_out=False, licences=("CC-BY",))] == ["in/yes.html"]


def test_a_name_in_the_title_is_taken_out_whatever_stands_below_references():
    pytest.importorskip("presidio_analyzer")
    from vesalius.privacy import Scrubber

    image = Image("a.png", "Scan of Mr. John Smith, MRN 4711234")
    parts = (Heading("References"), image, "Smith J, Doe A. A trial. Lancet 2019; 12: 3-4.")
    found = scrub(Document("x", parts, {"title": "Letter about Mr. John Smith"}), Scrubber(), Tally())
    assert "Smith" not in found.facts["title"] and "Smith" not in found.images[0].alt
    assert isinstance(found.parts[0], Heading) and found.parts[0] == "References"


def build_and_read(folder: Path, **given) -> list[Document]:
    build(recipe(folder, **given), workers=1)
    return rows(folder / "out")


@pytest.mark.skipif(not JATS.is_dir(), reason="shared data is absent")
def test_articles_go_through_every_stage_of_the_default_recipe(tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text(f"sources: [{(JATS / 'plosone-0091296').resolve()}]\noutput: out\nprivacy: false\n")
    told = CliRunner().invoke(app, ["corpus", "build", str(file), "--workers", "1"])
    assert told.exit_code == 0, told.output
    (article,) = rows(tmp_path / "out")
    assert article.facts["language"] == "en" and len(article.images) >= 5 and article.facts["words"] > 3000
    assert "1 document" in told.output
    report = (tmp_path / "out" / "report" / "report.html").read_text("utf-8")
    assert article.facts["title"] in report.replace("&#x27;", "'") and "http" not in report.partition("<style>")[0]
    assert (tmp_path / "out" / "report" / "funnel.svg").exists()


def figure(seed: int, size: tuple[int, int] = (400, 300)) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    PillowImage.fromarray(pixels).resize(size, PillowImage.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


def paper(folder: Path) -> None:
    """An article with figures: two good ones, one twice, one tiny, one broken, one that is not there."""
    folder.mkdir()
    for name, data in {
        "a": figure(1),
        "b": figure(2),
        "same": figure(1),
        "tiny": figure(3, (20, 20)),
        "broken": b"no",
    }.items():
        (folder / f"{name}.png").write_bytes(data)
    figures = "".join(
        f'<fig><graphic xlink:href="{n}.png"/></fig>' for n in ("a", "tiny", "same", "broken", "b", "gone")
    )
    body = "".join(f"<p>{paragraph}</p>" for paragraph in text(3))
    (folder / "x.xml").write_text(
        '<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta><title-group><article-title>A title'
        f"</article-title></title-group></article-meta></front><body><sec>{body}{figures}</sec></body></article>"
    )


def test_figures_are_taken_checked_and_stored_and_what_is_tiny_broken_or_twice_there_goes(tmp_path: Path):
    paper(tmp_path / "in")
    images = {"unsafe": False, "burnt_in": False}
    summary = build(recipe(tmp_path, images=images), workers=1)
    (document,) = rows(tmp_path / "out")
    assert [Path(image.url).name for image in document.images] == ["a.png", "b.png"]
    assert [image.url for image in document.images] == ["in/a.png", "in/b.png"]
    for image, seed in zip(document.images, (1, 2), strict=True):
        assert (image.width, image.height, image.facts["format"]) == (400, 300, "png")
        assert (tmp_path / "out" / image.facts["file"]).read_bytes() == figure(seed)
    gone = summary.tally["pictures"].edits
    assert gone["tiny"] == gone["repeated"] == gone["type"] == 1 and gone.total() >= 3
    out = tmp_path / "out"
    assert export(out, "webdataset", tmp_path / "tars") == export(out, "pairs", tmp_path / "pairs.parquet") == 2
    with tarfile.open(tmp_path / "tars" / "00000.tar") as tar:
        kept = {member.name: tar.extractfile(member).read() for member in tar}
    assert kept["000000000.png"] == figure(1) and kept["000000001.png"] == figure(2)
    assert set(kept) == {f"00000000{i}.{suffix}" for i in (0, 1) for suffix in ("png", "txt", "json")}
    table = pl.read_parquet(tmp_path / "pairs.parquet")
    assert table["image"].to_list() == ["in/a.png", "in/b.png"]
    assert set(table["text"]) <= set(document.texts)
    export(out, "chat", tmp_path / "chat.jsonl")
    (first, _) = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert export(out, "text", tmp_path / "text.jsonl") == 1
    assert json.loads((tmp_path / "text.jsonl").read_text())["text"] == document.text
    with pytest.raises(VesaliusError, match="holds no manifest"):
        export(tmp_path, "text", tmp_path / "x.jsonl")
    assert build(recipe(tmp_path, images=images), workers=1).tally["pictures"].edits == gone
    assert build(recipe(tmp_path, images=images, least_images=3), workers=1).totals["documents"] == 0


def test_images_are_weighed_by_models_that_are_given(tmp_path: Path, clip_checkpoint: Path):
    import torch
    from safetensors.torch import save_file

    from vesalius.corpus.images import picture
    from vesalius.corpus.images.clip import Clip, nearest_texts

    paper(tmp_path / "in")
    torch.manual_seed(0)
    weight = torch.randn(1, 16)
    save_file({"weight": weight, "bias": torch.zeros(1)}, tmp_path / "liked.safetensors")
    asked = {"unsafe": False, "burnt_in": False, "clip": clip_checkpoint, "aesthetic": tmp_path / "liked.safetensors"}
    build(recipe(tmp_path, images=asked), workers=1)
    (document,) = rows(tmp_path / "out")
    clip = Clip(clip_checkpoint)
    for at, part in enumerate(document.parts):
        if not isinstance(part, Image):
            continue
        vector = clip.images([picture((tmp_path / "out" / part.facts["file"]).read_bytes(), 640)])
        near = nearest_texts(document, at)
        (cosines,) = clip.similarities(vector, [[document.parts[i] for i in near]])
        assert part.facts["clip"] == pytest.approx(max(cosines), abs=1e-4)
        assert part.facts["clip_text"] == near[int(np.argmax(cosines))]
        assert part.facts["aesthetic"] == pytest.approx(float(vector[0] @ weight[0].numpy()), abs=1e-3)
    assert len(document.images) == 2
    export(tmp_path / "out", "pairs", tmp_path / "pairs.parquet")
    told = pl.read_parquet(tmp_path / "pairs.parquet")["text"].to_list()
    assert told == [document.parts[image.facts["clip_text"]] for image in document.images]
    del asked["aesthetic"]
    build(recipe(tmp_path, images=asked), workers=1)
    assert all("clip" in i.facts and "aesthetic" not in i.facts for i in rows(tmp_path / "out")[0].images)
    with pytest.raises(VesaliusError, match="is no CLIP checkpoint"):
        build(recipe(tmp_path, images={"clip": tmp_path}), workers=1)
    with pytest.raises(ValueError, match="aesthetic needs the clip"):
        recipe(tmp_path, images={"aesthetic": tmp_path / "liked.safetensors"})
