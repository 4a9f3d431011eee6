"""Experts and gate: who answers, what stays as it was, files that come and go."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d import Prompts, Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.decoder import MaskDecoder
from vesalius.nets.sam3d.experts import (
    GENERAL,
    Expert,
    Gate,
    Mixture,
    fingerprint_of,
    load_expert,
    load_mixture,
    save_expert,
    save_gate,
)  # fmt: skip

SIZES = {
    "image_size": 16, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "window_size": 4, "global_attn_indexes": [0], "prompt_dim": 24, "mask_in_chans": 16, "decoder_heads": 2,
    "decoder_mlp_dim": 32, "num_multimask_outputs": 0, "iou_head_hidden_dim": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def foundation() -> Sam3DModel:
    torch.manual_seed(0)
    return Sam3DModel(Sam3DConfig(**SIZES)).eval().requires_grad_(False)


def expert(foundation: Sam3DModel, name: str, seed: int = 1) -> Expert:
    torch.manual_seed(seed)
    return Expert(name, MaskDecoder(foundation.config).eval(), (name,), fingerprint_of(foundation))


class Told(Gate):
    """A gate whose confidences are given."""

    def __init__(self, experts, confidences):
        super().__init__(24, experts)
        self.told = torch.tensor(confidences).log()

    def forward(self, embeddings, sparse, prompts, size):
        return self.told


def asked(batch: int) -> Prompts:
    torch.manual_seed(5)
    return Prompts(torch.rand(batch, 2, 3) * 16, torch.ones(batch, 2), torch.randn(batch, 1, 16, 16, 16))


CROP = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(2))


def test_below_the_threshold_the_joined_model_is_the_foundation_to_the_last_bit(foundation: Sam3DModel) -> None:
    joined = Mixture(foundation, [expert(foundation, "a")], Told(["a"], [[0.7, 0.3]] * 3), threshold=0.5)
    out = joined.decode(joined.encode(CROP), asked(3))
    assert torch.equal(out.logits, foundation.decode(foundation.encode(CROP), asked(3)).logits)
    assert out.weights == ({GENERAL: 1.0},) * 3


def test_above_the_threshold_a_single_expert_answers_as_it_would_alone(foundation: Sam3DModel) -> None:
    one = expert(foundation, "a")
    joined = Mixture(foundation, [one], Told(["a"], [[0.1, 0.9]]), threshold=0.5)
    out = joined.decode(joined.encode(CROP), asked(1))
    assert torch.equal(out.logits, foundation.decode(foundation.encode(CROP), asked(1), one.decoder).logits)


def test_several_sure_experts_are_weighed_by_their_confidences(foundation: Sam3DModel) -> None:
    experts = [expert(foundation, name, seed) for seed, name in enumerate("ab", 1)]
    joined = Mixture(foundation, experts, Told("ab", [[0.1, 0.6, 0.3]]), threshold=0.2)
    embedded = joined.encode(CROP)
    out = joined.decode(embedded, asked(1))
    parts = [joined.decode(embedded, asked(1), name).logits.sigmoid() for name in "ab"]
    torch.testing.assert_close(out.logits.sigmoid(), parts[0] * 2 / 3 + parts[1] / 3, atol=1e-5, rtol=1e-5)
    assert out.weights[0] == pytest.approx({"a": 2 / 3, "b": 1 / 3})


def test_in_a_batch_each_has_its_own_who_and_nobody_else_is_asked(foundation: Sam3DModel, monkeypatch) -> None:
    experts = [expert(foundation, name, seed) for seed, name in enumerate("ab", 1)]
    told = [[0.9, 0.05, 0.05], [0.1, 0.9, 0.0], [0.9, 0.05, 0.05]]
    joined = Mixture(foundation, experts, Told("ab", told))
    seen = []
    decode = Sam3DModel.decode

    def counting(self, embeddings, prompts, decoder=None, multimask=False):
        seen.append((decoder, len(prompts.points)))
        return decode(self, embeddings, prompts, decoder, multimask)

    monkeypatch.setattr(Sam3DModel, "decode", counting)
    out = joined.decode(joined.encode(CROP), asked(3))
    assert sorted(n for _, n in seen) == [1, 2] and experts[1].decoder not in [d for d, _ in seen]
    assert [next(iter(w)) for w in out.weights] == [GENERAL, "a", GENERAL]


def test_experts_are_added_and_removed_as_folders_and_the_others_stay(foundation: Sam3DModel, tmp_path: Path) -> None:
    foundation.save_pretrained(tmp_path)
    for seed, name in enumerate("ab", 1):
        save_expert(tmp_path / "experts" / name, expert(foundation, name, seed), foundation, metrics={"dsc": 0.9})
    gate = Gate(24, ["a", "b"])
    save_gate(tmp_path / "gate", gate, 0.4)
    both = load_mixture(tmp_path)
    assert list(both.experts) == ["a", "b"] and both.threshold == 0.4
    before = both.decode(both.encode(CROP), asked(1), "a").logits
    shutil.rmtree(tmp_path / "experts" / "b")
    one = load_mixture(tmp_path)
    assert list(one.experts) == ["a"]
    torch.testing.assert_close(one.decode(one.encode(CROP), asked(1), "a").logits, before)
    out = one.decode(one.encode(CROP), asked(4))  # the gate still knows b, which is gone
    assert all(name in ("a", GENERAL) for w in out.weights for name in w)
    save_expert(tmp_path / "experts" / "c", expert(foundation, "c", 3), foundation)
    three = load_mixture(tmp_path)
    assert three.decode(three.encode(CROP), asked(1), "c").weights == ({"c": 1.0},)
    shutil.rmtree(tmp_path / "gate")
    assert load_mixture(tmp_path).gate is None
    with pytest.raises(VesaliusError, match="there is no expert x — there are general, a, c"):
        three.decode(three.encode(CROP), asked(1), "x")


def test_an_expert_of_another_size_or_foundation_is_one_clear_line(foundation: Sam3DModel, tmp_path: Path) -> None:
    other = Sam3DModel(Sam3DConfig(**{**SIZES, "decoder_mlp_dim": 64}))
    save_expert(tmp_path / "wide", expert(other, "wide"), other)
    with pytest.raises(VesaliusError, match=r"is an expert of another size: .* is \(64, 24\), not \(32, 24\)"):
        load_expert(tmp_path / "wide", foundation)
    torch.manual_seed(9)
    stranger = Sam3DModel(Sam3DConfig(**SIZES))
    with pytest.raises(VesaliusError, match="was trained on another foundation"):
        Mixture(foundation, [expert(stranger, "strange")])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "expert.json").write_text("{")
    with pytest.raises(VesaliusError, match=r"holds no expert\.json of an expert"):
        load_expert(tmp_path / "bad", foundation)
    save_gate(tmp_path / "gate", Gate(48, ["a"]), 0.5)
    foundation.save_pretrained(tmp_path)
    with pytest.raises(VesaliusError, match="is a gate of another size"):
        load_mixture(tmp_path)


def test_a_lora_expert_is_a_delta_that_leaves_the_general_answer_alone(foundation: Sam3DModel, tmp_path: Path) -> None:
    from vesalius.nets.sam3d import adapter

    model = copy.deepcopy(foundation)
    before = model.encode(CROP)
    fingerprint = fingerprint_of(model)
    adapter.add(model.image_encoder, "bent", 4, 8)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.5)
    bent = Expert("bent", MaskDecoder(model.config).eval(), ("x",), fingerprint, adapter=True)
    save_expert(tmp_path / "experts" / "bent", bent, model)
    assert fingerprint_of(model) == fingerprint
    foundation.save_pretrained(tmp_path)
    joined = load_mixture(tmp_path)
    with torch.no_grad():
        embedded = joined.encode(CROP)
        torch.testing.assert_close(embedded.general, before)
        joined.decode(embedded, asked(1))
        assert not embedded.own
        joined.decode(embedded, asked(1), "bent")
        assert (embedded.own["bent"] - before).abs().max() > 0.01
        torch.testing.assert_close(joined.encode(CROP).general, before)
    config = json.loads((tmp_path / "experts" / "bent" / "adapter" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["r"] == 4


def test_the_gate_reads_the_image_where_the_clicks_are(foundation: Sam3DModel) -> None:
    torch.manual_seed(0)
    gate = Gate(24, ["a"])
    embedding = torch.randn(1, 24, 4, 4, 4)
    low = torch.zeros(1, 1, 16, 16, 16)

    def confidence(image: torch.Tensor, at: float) -> torch.Tensor:
        prompts = Prompts(torch.full((1, 1, 3), at), torch.ones(1, 1), low)
        return gate(image, torch.zeros(1, 2, 24), prompts, 16)

    other = embedding.clone()
    push = 5 * torch.randn(24)
    other[0, :, 3, 3, 3] += push
    other[0, :, 1, 1, 1] -= push  # the mean of the whole stays
    assert (confidence(embedding, 14.0) - confidence(other, 14.0)).abs().max() > 0.05
    torch.testing.assert_close(confidence(embedding, 9.0), confidence(other, 9.0), atol=1e-4, rtol=1e-4)
