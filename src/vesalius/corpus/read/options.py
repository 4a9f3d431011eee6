"""What may be asked of a reader besides the file; a part for each kind that can be read in more than one way."""

from pathlib import Path

from pydantic import Field

from vesalius.settings import Strict


class Video(Strict):
    """Which frames of a video are taken, and whose words."""

    every: float = Field(default=10.0, gt=0, description="Seconds after which a frame is due.")
    # Cuts measured 13 to 27, pans up to 8.
    scene: float | None = Field(
        default=None,
        gt=0,
        description="Mean difference in levels of 255 that is a change of scene; null: by the clock alone.",
    )
    gap: float = Field(default=1.0, ge=0, description="Seconds at least between two; a change that comes sooner waits.")
    language: str | None = Field(
        default=None,
        description="Of subtitles, as in their file's name or their stream's tag; null: none, English, the first.",
    )


class Pdf(Strict):
    """What is taken of a PDF besides its text."""

    page_images: bool = Field(default=False, description="Each page as an image, before its text.")


class Reading(Strict):
    """All of them.

    Attributes:
        file: where they were read; None for what was made in Python.
    """

    file: Path | None = None
    video: Video = Video()
    pdf: Pdf = Pdf()
