"""One source's documents as a shard of the corpus: without duplicates and what its site repeats.

Knows one source in a worker; what was found in all is in files, see `whole.py`.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.build.tables import write_documents, write_dropped
from vesalius.corpus.build.tally import Tally
from vesalius.corpus.build.texts import chunks
from vesalius.corpus.build.whole import gone, read_counts
from vesalius.corpus.dedup import RepeatedParagraphs
from vesalius.corpus.document import Document
from vesalius.corpus.filters.feedback import Words
from vesalius.run import file_hash


def shard_of(folder: str, whole: str, shard: str, dropped: str, recipe: Recipe) -> dict[str, Any]:
    """Writes a source's shard, and what this stage dropped.

    Args:
        folder: of its chunks.
        whole: see `whole.py`.
        shard, dropped: the files to be, Parquet; a source of which nothing is left has no shard.
        recipe: what is kept.

    Returns:
        `documents`, `texts`, `words`, `images`, `bytes` and `sha256` of the shard, `tally`.
    """
    tally = Tally()
    rows: list[dict[str, Any]] = []
    documents = list(_kept(Path(folder), whole, recipe, tally, rows))
    write_dropped(rows, Path(dropped))
    path = Path(shard)
    if documents:
        write_documents(documents, path)
    else:
        path.unlink(missing_ok=True)
    return {
        "documents": len(documents),
        "texts": sum(len(document.texts) for document in documents),
        "words": sum(len(document.text.split()) for document in documents),
        "images": sum(len(document.images) for document in documents),
        "bytes": path.stat().st_size if documents else 0,
        "sha256": file_hash(path) if documents else None,
        "tally": tally.to_json(),
    }


def _kept(folder: Path, whole: str, recipe: Recipe, tally: Tally, rows: list[dict[str, Any]]) -> Iterator[Document]:
    twins = gone(whole, folder.name)
    number = -1
    repeated, fewest = _repeated(whole) if recipe.repeated else None, Words()
    for chunk in chunks(folder):
        for document in chunk.read():
            number += 1
            reason, stage = None, "duplicates"
            if number in twins:
                reason = f"says what {twins[number]} says"
                tally[stage].reasons["similar or equal"] += 1
            else:
                tally.kept(stage, document)
                if repeated is not None:
                    stage = "repeated"
                    document, removed = repeated.remove(document)
                    # Only what lost some is judged again: what was long enough before stays so.
                    reason = fewest.judge(document) if removed and recipe.feedback else None
                    if not document.texts:
                        reason = "nothing but what its site repeats"
                    if reason:
                        tally[stage].reasons[reason] += 1
                    else:
                        tally[stage].edits["paragraphs"] += len(removed)
                        tally.kept(stage, document)
            if reason is None:
                yield document
            else:
                rows.append({
                    "id": document.id, "url": document.facts.get("url"), "stage": stage, "reason": reason,
                    "words": len(document.text.split()), "text": document.text if recipe.keep_dropped else None,
                })  # fmt: skip


@lru_cache(maxsize=1)
def _repeated(whole: str) -> RepeatedParagraphs:
    return RepeatedParagraphs(read_counts(str(Path(whole) / "paragraphs.npz")))
