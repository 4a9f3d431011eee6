"""One source's documents as a shard: without duplicates and what its site repeats, with the images that are kept.

Knows one source in a worker; what was found in all is in files, see `whole.py`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from vesalius.corpus.build.pictures import rows_of
from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.build.tables import write_documents, write_dropped
from vesalius.corpus.build.tally import Tally
from vesalius.corpus.build.texts import chunks
from vesalius.corpus.build.tokens import tokens
from vesalius.corpus.build.whole import gone, read_counts
from vesalius.corpus.dedup import Counts, ImageHashes, RepeatedParagraphs, image_key, repeated_images
from vesalius.corpus.document import Document, Image
from vesalius.corpus.filters.feedback import Words
from vesalius.corpus.images import too_frequent
from vesalius.run import file_hash


def shard_of(folder: str, whole: str, shard: str, dropped: str, root: str, recipe: Recipe) -> dict[str, Any]:
    """Writes a source's shard, and what this stage dropped.

    Args:
        folder: of its chunks.
        whole: see `whole.py` and `pictures.py`.
        shard, dropped: the files to be, Parquet; a source of which nothing is left has no shard. The corpus is two
            folders above the shard.
        root: of the source; paths of images that are not taken are relative to it.
        recipe: what is kept.

    Returns:
        `documents`, `texts`, `words`, `images`, `tokens` (0 without a tokenizer), `bytes` and `sha256` of the shard,
        `tally`.
    """
    path = Path(shard)
    last = _Last(Path(folder), whole, path.parent.parent, root, recipe)
    written = write_documents(last.kept(), path)
    write_dropped(last.rows, Path(dropped))
    if not written:
        path.unlink()
    return {
        **last.totals,
        "bytes": path.stat().st_size if written else 0,
        "sha256": file_hash(path) if written else None,
        "tally": last.tally.to_json(),
    }


class _Last:
    """The last stages; a document at a time."""

    def __init__(self, folder: Path, whole: str, out: Path, root: str, recipe: Recipe):
        self.recipe = recipe
        self.tally = Tally()
        self.rows: list[dict[str, Any]] = []
        self.totals = dict.fromkeys(("documents", "texts", "words", "images", "tokens"), 0)
        self._folder, self._root = folder, root
        self._twins = gone(whole, folder.name)
        self._repeated = _repeated(whole) if recipe.repeated else None
        self._pictures = rows_of(whole, folder.name) if recipe.images else {}
        self._frequent = _frequent(whole) if recipe.images else None
        self._words = Words()
        self._tokenizer = recipe.tokenizer_at
        self._out = out

    def kept(self) -> Iterator[Document]:
        """Documents that stay; the others are in `rows`."""
        steps = (("repeated", self._without_repeated), ("pictures", self._with_pictures))
        number = -1
        for chunk in chunks(self._folder):
            for document in chunk.read():
                number += 1
                if number in self._twins:
                    self._gone(document, "duplicates", f"says what {self._twins[number]} says", "similar or equal")
                    continue
                self.tally.kept("duplicates", document)
                for stage, step in steps:
                    verdict = step(document)
                    if isinstance(verdict, str):
                        self._gone(document, stage, verdict)
                        break
                    document = verdict
                    self.tally.kept(stage, document)
                else:
                    yield self._counted(document)

    def _without_repeated(self, document: Document) -> Document | str:
        if self._repeated is None:
            return document
        document, removed = self._repeated.remove(document)
        if not document.texts:
            return "nothing but what its site repeats"
        # Only what lost some is judged again: what was long enough before stays so.
        reason = self._words.judge(document) if removed and self.recipe.feedback else None
        if not reason:
            self.tally["repeated"].edits["paragraphs"] += len(removed)
        return reason or document

    def _with_pictures(self, document: Document) -> Document | str:
        """Images that are kept, with what is known of them; addresses alone where nobody asked."""
        parts: list[str | Image] = []
        hashes: list[ImageHashes] = []
        for part in document.parts:
            if isinstance(part, str):
                parts.append(part)
            elif self.recipe.images is None:
                parts.append(self._moved(part))
            else:
                row = self._pictures[part.url]
                reason = row["reason"] or self._often(row["facts"], hashes)
                if reason:
                    self.tally["pictures"].edits[reason] += 1
                else:
                    facts = {**part.facts, **row["facts"]}
                    width, height = facts.pop("width", None), facts.pop("height", None)
                    new = Image(part.url, part.alt, width or part.width, height or part.height, facts)
                    parts.append(self._moved(new))
        document = replace(document, parts=tuple(parts))
        least = self.recipe.least_images
        if len(document.images) < least:
            return f"fewer than {least} images"
        images = self.recipe.images
        if images is None or images.clip is None:
            return document
        from vesalius.corpus.build.worth import weighed

        return weighed(document, self._out, images)

    def _often(self, facts: dict[str, Any], hashes: list[ImageHashes]) -> str:
        """Whether an image is in too many documents, or in this one before."""
        if "sha256" not in facts or self._frequent is None or self.recipe.images is None:
            return ""
        number = int(self._frequent.of([image_key(facts["sha256"])])[0])
        if reason := too_frequent(number, self.recipe.images.limits):
            return reason
        perceptual = int(facts["p_hash"], 16) if facts.get("p_hash") else None
        hashes.append(ImageHashes(facts["sha256"][:32], perceptual, facts["width"] or 0, facts["height"] or 0))
        return "repeated" if repeated_images(hashes)[-1] else ""

    def _moved(self, image: Image) -> Image:
        """Under an address that says nothing of this machine."""
        if not self._root or not image.url.startswith(prefix := f"{Path(self._root)}/"):
            return image
        return replace(image, url=f"{Path(self._root).name}/{image.url.removeprefix(prefix)}")

    def _counted(self, document: Document) -> Document:
        count = tokens(document, self._tokenizer) if self._tokenizer else 0
        own = (1, len(document.texts), len(document.text.split()), len(document.images), count)
        for name, number in zip(self.totals, own, strict=True):
            self.totals[name] += number
        return document.with_facts(tokens=count) if self._tokenizer else document

    def _gone(self, document: Document, stage: str, reason: str, short: str = "") -> None:
        self.tally[stage].reasons[short or reason] += 1
        text = document.text if self.recipe.keep_dropped else None
        words, url = len(document.text.split()), document.facts.get("url")
        self.rows.append(
            {"id": document.id, "url": url, "stage": stage, "reason": reason, "words": words, "text": text}
        )


@lru_cache(maxsize=1)
def _frequent(whole: str) -> Counts:
    return read_counts(str(Path(whole) / "images.npz"))


@lru_cache(maxsize=1)
def _repeated(whole: str) -> RepeatedParagraphs:
    return RepeatedParagraphs(read_counts(str(Path(whole) / "paragraphs.npz")))
