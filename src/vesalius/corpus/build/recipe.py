"""What a corpus is made of and what is kept: the YAML of `vesalius corpus build`."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from vesalius.corpus.dedup import Scheme
from vesalius.corpus.images.check import Limits
from vesalius.corpus.images.policy import Policy
from vesalius.corpus.read.options import Reading
from vesalius.errors import VesaliusError
from vesalius.run import fingerprint
from vesalius.settings import Strict, read_yaml, settle

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


class Images(Strict):
    """What is done about images."""

    fetch: bool = Field(False, description="Ask the web for them; figures and frames on a disk are taken anyway.")
    policy: Policy = Policy()
    limits: Limits = Limits()
    unsafe: bool = Field(True, description="Score how likely each shows a naked body.")
    burnt_in: bool = Field(True, description="Count places with text, as a name on a scan; about a second an image.")
    clip: Path | None = Field(None, description="Folder of a CLIP: how well each image fits the texts around it.")
    aesthetic: Path | None = Field(None, description="File of LAION's predictor on that CLIP: how much each pleases.")
    again: frozenset[str] = Field(frozenset(), description="Statuses that are asked again: timeout, busy, ...")

    @model_validator(mode="after")
    def _on_clip(self) -> "Images":
        if self.aesthetic is not None and self.clip is None:
            raise ValueError("aesthetic needs the clip that it scores")
        return self


class Recipe(Reading):
    """See the module. Stages stand in the order in which a document meets them."""

    sources: tuple[str, ...] = Field(
        min_length=1, description="Archives, pages, papers, PDFs, videos, folders of them: paths, patterns, addresses."
    )
    output: Path
    opt_out: bool = Field(True, description="Leave out what its owner keeps from machines: noai, tdm-reservation.")
    licences: tuple[str, ...] = Field((), description="Keep documents under one of these (CC-BY, CC0); empty: all.")
    languages: tuple[str, ...] = Field(("en",), description="ISO 639-1; empty: all.")
    language_least: float = Field(0.65, ge=0, le=1, description="Confidence from which a language is believed.")
    heuristics: tuple[Literal["gopher", "gopher-repetition", "c4", "fineweb"], ...] = (
        "gopher",
        "gopher-repetition",
        "c4",
        "fineweb",
    )
    feedback: bool = Field(True, description="The rules from human feedback, for paragraphs and documents; English.")
    biomedical: float = Field(0.0, ge=0, le=1, description="Documents with a lower score are dropped; 0.5 suits most.")
    least_images: int = Field(0, ge=0, description="Documents with fewer are dropped; OmniCorpus-CC has 1.")
    privacy: bool = Field(True, description="Take out identifiers of patients before anything is written.")
    similarity: float = Field(0.8, gt=0, le=1, description="Jaccard, of word 5-grams, from which two are duplicates.")
    repeated: bool = Field(True, description="Take away paragraphs that a site repeats.")
    images: Images | None = Field(None, description="Take, check and score images; null leaves their addresses alone.")
    tokenizer: str | None = Field(None, description="Folder, or name on a hub: counts tokens for that model.")
    keep_dropped: bool = Field(False, description="Write the text of what is dropped, too, to look at it.")
    seconds: float = Field(60, gt=0, description="That one record may take before its worker is stopped.")
    memory: int = Field(4 * 2**30, description="Bytes that a worker, or the search for duplicates, may take: 4GiB.")
    most_failures: float = Field(0.5, gt=0, le=1, description="Share of records that cannot be read that ends the run.")

    @field_validator("similarity")
    @classmethod
    def _found(cls, value: float) -> float:
        try:
            Scheme(threshold=value)
        except VesaliusError as error:
            raise ValueError(error.problem) from None
        return value

    @field_validator("memory", mode="before")
    @classmethod
    def _bytes(cls, value: object) -> object:
        found = _SIZE.fullmatch(str(value).strip())
        return int(float(found[1]) * _UNITS[found[2].upper()]) if found else value

    @model_validator(mode="after")
    def _private(self) -> "Recipe":
        if self.privacy and self.pdf.page_images:
            raise ValueError("pdf.page_images would show what privacy takes out of the text; set one of them to false")
        return self

    @property
    def base(self) -> Path:
        """What its relative paths are relative to."""
        return self.file.parent if self.file else Path()

    @property
    def tokenizer_at(self) -> str | None:
        """The tokenizer's path where there is one, else its name on a hub."""
        here = self.base / (self.tokenizer or "")
        return str(here) if self.tokenizer and here.exists() else self.tokenizer

    @property
    def stamp(self) -> str:
        """What decides the texts of a source, besides it."""
        return fingerprint(self.model_dump(mode="json", exclude={"file", "sources", "output", *LATER}))


# Of images, what decides no more than facts in the shards.
WORTH = frozenset({"clip", "aesthetic"})
# What a source's texts do not depend on.
LATER = frozenset({"similarity", "repeated", "images", "tokenizer", "seconds", "memory", "most_failures"})


def load_recipe(path: str | Path, changes: tuple[str, ...] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: YAML.
        changes: `key=value`.

    Raises:
        VesaliusError: code `recipe`: no such file, no YAML, or a key that is missing, unknown or wrong.
    """
    return settle(Recipe, read_yaml(path, changes, example="sources: [crawl/*.warc.gz]"), Path(path))
