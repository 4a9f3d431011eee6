"""The sizes of a SAM-Med3D, under transformers' names where it has one; the defaults are the published `vit_b_ori`."""

from typing import Any

from transformers import PretrainedConfig

from vesalius.errors import VesaliusError


class Sam3DConfig(PretrainedConfig):
    """Sizes of encoder, prompt encoder and decoder.

    Args:
        image_size: voxels along each side of the crop that is seen.
        patch_size: voxels along each side of a token.
        hidden_size, num_hidden_layers, num_attention_heads, mlp_ratio: of the image encoder.
        window_size: tokens along each side of an attention window.
        global_attn_indexes: layers that attend to all tokens instead.
        prompt_dim: channels of embeddings after the neck; a multiple of 3 (positions are sine, cosine, sine) and of 8.
        mask_in_chans: channels of the previous mask on its way down.
        decoder_depth, decoder_heads, decoder_mlp_dim: of the two-way transformer.
        num_multimask_outputs: masks besides the first.
        iou_head_depth, iou_head_hidden_dim: of the head that estimates its own IoU.
        exchanged_axes: positions of image tokens have their first two axes exchanged against those of clicks. So it is
            published, and its weights need it; a network that is trained anew finds clicks better without.
        iou_trained: whether that head was trained; as published it is not, and its estimate means nothing.
    """

    model_type = "sam_med3d"

    def __init__(
        self,
        image_size: int = 128,
        patch_size: int = 16,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        mlp_ratio: float = 4.0,
        window_size: int = 14,
        global_attn_indexes: tuple[int, ...] | list[int] = (2, 5, 8, 11),
        prompt_dim: int = 384,
        mask_in_chans: int = 16,
        decoder_depth: int = 2,
        decoder_heads: int = 8,
        decoder_mlp_dim: int = 2048,
        num_multimask_outputs: int = 3,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
        exchanged_axes: bool = True,
        iou_trained: bool = False,
        **more: Any,
    ):
        self.image_size, self.patch_size = image_size, patch_size
        self.hidden_size, self.num_hidden_layers = hidden_size, num_hidden_layers
        self.num_attention_heads, self.mlp_ratio = num_attention_heads, mlp_ratio
        self.window_size, self.global_attn_indexes = window_size, list(global_attn_indexes)
        self.prompt_dim, self.mask_in_chans = prompt_dim, mask_in_chans
        self.decoder_depth, self.decoder_heads, self.decoder_mlp_dim = decoder_depth, decoder_heads, decoder_mlp_dim
        self.num_multimask_outputs = num_multimask_outputs
        self.iou_head_depth, self.iou_head_hidden_dim = iou_head_depth, iou_head_hidden_dim
        self.exchanged_axes, self.iou_trained = exchanged_axes, iou_trained
        super().__init__(**more)

    @property
    def grid(self) -> int:
        """Tokens along each side."""
        return self.image_size // self.patch_size

    @property
    def mask_size(self) -> int:
        """Voxels along each side of the low-resolution logits: four times the tokens."""
        return 4 * self.grid

    def check(self) -> None:
        """Refuses sizes that do not fit each other.

        Raises:
            VesaliusError: code `config`, which ones.
        """
        wrong = {
            f"image_size {self.image_size} is no multiple of patch_size {self.patch_size}": self.image_size
            % self.patch_size,
            f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}": (
                self.hidden_size % self.num_attention_heads
            ),
            f"prompt_dim {self.prompt_dim} is no multiple of 3 and 8": self.prompt_dim % 24,
            f"half of prompt_dim {self.prompt_dim} is no multiple of decoder_heads {self.decoder_heads}": (
                self.prompt_dim // 2 % self.decoder_heads
            ),
            f"mask_in_chans {self.mask_in_chans} is no multiple of 4": self.mask_in_chans % 4,
            # a norm over a single channel leaves nothing of the mask
            f"mask_in_chans {self.mask_in_chans} is less than 8": self.mask_in_chans < 8,
        }
        for problem, rest in wrong.items():
            if rest:
                raise VesaliusError(problem, remedy="choose sizes that fit each other", code="config")
