"""Keys that the trainings of SAM-Med3D share, and what follows from them: cases, crops, judging."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from vesalius.nets.sam3d.crop import Preprocessing
from vesalius.settings import Strict
from vesalius.train.data import Cases, Crops, LabelledCase, Source, find
from vesalius.train.recipe import Recipe


class Cropping(Strict):
    """How crops are cut; see `nets/sam3d/crop.py`."""

    spacing: float = Field(1.5, gt=0)
    clip: tuple[float, float] | None = None
    pad: float = 0.0
    lattice: int = Field(8, ge=1)


class Interaction(Strict):
    """The clicks of a training step.

    Attributes:
        clicks: rounds for each encoding; from four on one in the middle and the last are without clicks, as
            published.
        varied: the number of rounds is drawn from 1 to `clicks` for each batch, and the loss is their mean, not their
            sum: more updates in the same time.
        iou: weight of the loss of the decoder's own estimate; 0 as published, which leaves that head untrained.
        automatic: share of the batches that begin without a prompt (an expert learns to answer by itself).
    """

    clicks: int = Field(11, ge=1)
    varied: bool = False
    iou: float = Field(0.0, ge=0)
    automatic: float = Field(0.0, ge=0, le=1)


class Judging(Strict):
    """How the weights are judged on the way and at the end, by the click protocol."""

    after: tuple[int, ...] = (1, 3)
    way: Literal["random", "deepest"] = "random"
    cases: int = Field(8, ge=1, description="Of the validation data, evenly spread; more cost more time.")
    structures: tuple[str, ...] = Field((), description="Which; those of the training by default.")


class Sam3DRecipe(Recipe):
    """What the trainings share."""

    data: tuple[Source, ...] = Field(min_length=1)
    validation: tuple[Source, ...] = ()
    least: int = Field(100, ge=1, description="Voxels on the lattice below which a structure of a case is left out.")
    jitter: int = Field(0, ge=0, description="Voxels by which a crop's middle is moved at most.")
    around: Literal["target", "click"] = Field(
        "target",
        description="Crops lie around the target's middle (published), or around any of its voxels, as in use.",
    )
    targets: int = Field(1, ge=1, description="Structures of a crop on one encoding, at most; one as published.")
    augment: tuple[str, ...] = ("flip",)
    cache: Literal["memory", "disk"] = "disk"
    interaction: Interaction = Interaction()  # type: ignore[call-arg]
    judging: Judging = Judging()  # type: ignore[call-arg]

    @property
    def samples(self) -> int:
        """Enough for all steps on any number of devices up to 64 that share the work."""
        return self.steps * self.batch_size * self.accumulate * 64

    def cases(self, how: Preprocessing) -> Cases:
        """The training cases, on their lattices."""
        return Cases(find(self.data), how, self.cache, self.output / "data")

    def crops(self, cases: Cases, structures: tuple[str, ...] = ()) -> Crops:
        """The samples."""
        return Crops(
            cases, self.samples, self.seed, least=self.least, jitter=self.jitter, around=self.around,
            targets=self.targets, augment=self.augment, structures=structures,
        )  # fmt: skip

    def held_out(self) -> list[LabelledCase]:
        """Cases to judge on: evenly spread over the validation data."""
        found = find(self.validation) if self.validation else []
        step = max(1, len(found) / self.judging.cases)
        return [found[int(i * step)] for i in range(min(len(found), self.judging.cases))]


class Sizes(Strict):
    """Sizes of a new network; the published `vit_b_ori` by default. See `nets/sam3d/config.py`."""

    image_size: int = 128
    patch_size: int = 16
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    mlp_ratio: float = 4.0
    window_size: int = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    prompt_dim: int = 384
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    exchanged_axes: bool = True


class Start(Strict):
    """Where weights come from: a folder or a public `.pth`, or new ones of these sizes."""

    weights: Path | None = None
    sizes: Sizes = Sizes()
