"""How well a document's images fit the texts around them, and how they please, where the recipe names models.

Facts beside each image: `clip`, the cosine with the most similar of the nearest texts, and which that is
(`clip_text`, a place of the document); `aesthetic`. Nothing is dropped for them. Looks at documents as they are at
last; leaves the models to `images/clip.py`.
"""

import contextlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from vesalius.corpus.build.recipe import Images
from vesalius.corpus.document import Document, Image
from vesalius.corpus.images import picture
from vesalius.corpus.images.clip import Aesthetic, Clip, nearest_texts
from vesalius.run import file_stamp, fingerprint

_SIDE = 640  # pixels; CLIP looks at fewer


def stamp(asked: Images) -> str:
    """Of the models that are asked; loads them once, so that a wrong one is told before hours are spent.

    Raises:
        VesaliusError: code `model`; `packages`.
    """
    assert asked.clip is not None
    _models(asked.clip, asked.aesthetic)
    return fingerprint([file_stamp(path) for path in (asked.clip, asked.aesthetic) if path is not None])


def weighed(document: Document, out: Path, asked: Images) -> Document:
    """The document with the facts of its images that lie under `out`.

    Args:
        document: as it is written.
        out: folder of the corpus.
        asked: what the recipe says; names a CLIP.
    """
    places, seen = [], []
    for at, part in enumerate(document.parts):
        if isinstance(part, Image) and "file" in part.facts:
            with contextlib.suppress(ValueError, OSError):
                seen.append(picture((out / part.facts["file"]).read_bytes(), _SIDE, asked.limits))
                places.append(at)
    if not places or asked.clip is None:
        return document
    clip, aesthetic = _models(asked.clip, asked.aesthetic)
    vectors = clip.images(seen)
    near = [nearest_texts(document, at) for at in places]
    fits = clip.similarities(vectors, [[str(document.parts[text]) for text in texts] for texts in near])
    pleasing = aesthetic.score(vectors) if aesthetic else [None] * len(places)
    parts = list(document.parts)
    for at, texts, cosines, pleases in zip(places, near, fits, pleasing, strict=True):
        image = parts[at]
        assert isinstance(image, Image)
        facts: dict[str, Any] = {} if pleases is None else {"aesthetic": pleases}
        if texts:
            best = max(range(len(texts)), key=cosines.__getitem__)
            facts |= {"clip": cosines[best], "clip_text": texts[best]}
        parts[at] = replace(image, facts={**image.facts, **facts})
    return replace(document, parts=tuple(parts))


@lru_cache(maxsize=1)
def _models(clip: Path, aesthetic: Path | None) -> tuple[Clip, Aesthetic | None]:
    found = Clip(clip)
    return found, Aesthetic(aesthetic, found.size) if aesthetic is not None else None
