"""Small copies of the images that questions are about: one JPEG for each distinct image.

Knows how a file becomes `browser/media/<hash>.jpg`, at most 512 pixels wide and high; the original bytes are never
copied. One that is there already is not made again. What cannot be shown is said in words.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vesalius.run import cores, replacing

SIDE = 512


@dataclass(frozen=True)
class Thumbnail:
    """A picture's file name and size, or what to say in its place."""

    name: str = ""
    width: int = 0
    height: int = 0
    said: str = ""


@dataclass
class Thumbnails:
    """Those of one report.

    Attributes:
        folder: where they lie.
        made: by path of the original.
    """

    folder: Path
    made: dict[str, Thumbnail] = field(default_factory=dict)

    def make(self, paths: Iterable[str]) -> None:
        """Makes what is not there yet, on all cores."""
        new = [path for path in dict.fromkeys(paths) if path not in self.made]
        if new:
            self.folder.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(cores()) as pool:
                self.made.update(zip(new, pool.map(self._one, new), strict=True))

    def prune(self) -> None:
        """Removes those of an earlier report that this one does not show."""
        used = {thumbnail.name for thumbnail in self.made.values()}
        for path in self.folder.glob("*.jpg"):
            if path.name not in used:
                path.unlink()

    def _one(self, path: str) -> Thumbnail:
        from PIL import Image, ImageOps

        file = Path(path)
        if not file.is_file():
            return Thumbnail(said=f"The image {file.name} is not there.")
        try:
            with open(file, "rb") as stream:
                name = hashlib.file_digest(stream, "sha256").hexdigest()[:32] + ".jpg"
            target = self.folder / name
            if target.exists():
                with Image.open(target) as image:
                    return Thumbnail(name, *image.size)
            with Image.open(file) as image:
                image.draft("RGB", (SIDE, SIDE))  # a large JPEG is decoded at a fraction of its size
                small = _rgb(ImageOps.exif_transpose(image))
                small.thumbnail((SIDE, SIDE))
            with replacing(target) as part:
                small.save(part, "JPEG", quality=85)
            return Thumbnail(name, *small.size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return Thumbnail(said=f"The image {file.name} cannot be read ({str(error).splitlines()[0][:120]}).")


def _rgb(image: Any) -> Any:
    """RGB; more than eight bits are stretched from the darkest to the brightest, transparency lies on white."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        low, high = image.getextrema()
        stretch = 255 / ((high - low) or 1)
        return image.convert("F").point(lambda x: x * stretch - low * stretch).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return image.convert("RGB")
