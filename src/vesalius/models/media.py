"""A question's images as models take them: data URLs for endpoints, PIL images for processors.

Knows bytes and their type. Original bytes go out as they are; only a format that nobody takes is made PNG.
"""

import base64
import io
from pathlib import Path

from vesalius.errors import VesaliusError

_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


def data_url(path: str) -> str:
    """The file as `data:image/…;base64,…`.

    Raises:
        VesaliusError: it is no image.
    """
    data = Path(path).read_bytes()
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    if kind is None:
        data, kind = _as_png(path), "image/png"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _as_png(path: str) -> bytes:
    out = io.BytesIO()
    picture(path).save(out, format="PNG")
    return out.getvalue()


def picture(path: str):
    """The file as an RGB `PIL.Image`, turned upright by its EXIF.

    Raises:
        VesaliusError: it is no image, or a broken one.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VesaliusError(f"is no image that can be read ({error})", file=path, remedy="replace the file",
                            code="unreadable") from None  # fmt: skip
