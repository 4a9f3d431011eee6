"""The three trainings of SAM-Med3D, one after the other, as a user runs them; and the published step."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vesalius.cli import app
from vesalius.errors import VesaliusError
from vesalius.media.volume import read_volume
from vesalius.models.promptable import Prompt, open_promptable
from vesalius.nets.sam3d import Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.experts import load_mixture
from vesalius.train.recipe import TASKS, load_recipe
from vesalius.train.sam3d.interaction import Clicker, InteractiveTraining
from vesalius.train.sam3d.settings import Interaction
from vesalius.train.trainer import train


def run(path: Path, *changes: str):
    recipe = load_recipe(path, changes)
    return recipe, train(recipe, import_module(TASKS[recipe.task]).prepare(recipe))


def dies_after(job, steps: int) -> None:
    """Its module raises in the step after these."""
    forward, seen = job.module.forward, []

    def dying(*args, **kwargs):
        seen.append(1)
        if len(seen) > steps:
            raise RuntimeError("killed")
        return forward(*args, **kwargs)

    job.module.forward = dying


@pytest.fixture
def joined(write_recipe, world: Path):
    """A foundation, an expert with a decoder alone, one with LoRA too, and all of them joined."""
    held = [{"folder": str(world), "cases": ["case3"]}]
    general, _ = run(write_recipe("general", steps=30, validation=held))
    later = {"start": None, "cropping": None, "foundation": "out_general", "validation": held, "steps": 6}
    for name, lora in (("ball", None), ("rod", {"rank": 2, "alpha": 4})):
        task = {"name": name, "targets": [name], "lora": lora}
        way = {"clicks": 3, "automatic": 0.5}
        run(write_recipe(name, task="sam3d/expert", expert=task, interaction=way, **later))
    folders = ["out_ball", "out_rod"]
    calibration = {"samples": 8, "after": [1]}
    more = {**later, "steps": 100, "learning_rate": 5e-3}
    path = write_recipe("joined", task="sam3d/gate", experts=folders, calibration=calibration, **more)
    return general.output, *run(path, "interaction.clicks=2")


def test_a_foundation_experts_and_a_gate_become_one_model(joined, world: Path) -> None:
    general, recipe, metrics = joined
    before, after = Sam3DModel.from_pretrained(general), load_mixture(recipe.output)
    for name, weights in before.state_dict().items():  # what was joined did not change what it stands on
        key = name if name in after.foundation.state_dict() else name.replace(".weight", ".base_layer.weight")
        key = key if key in after.foundation.state_dict() else key.replace(".bias", ".base_layer.bias")
        assert torch.equal(after.foundation.state_dict()[key], weights), name
    gate = json.loads((recipe.output / "gate" / "gate.json").read_text())
    assert gate["experts"] == ["ball", "rod"] and 0 < gate["threshold"] < 1
    assert len(gate["calibration"]["curve"]) == 49 and metrics["gate_accuracy"] > 0.5
    model = open_promptable(recipe.output)
    assert model.experts == ("general", "ball", "rod") and set(model.organs) == {"ball", "rod"}
    image = read_volume(world / "imagesTr" / "case3_0000.nii.gz")
    session = model.open(image)
    at = Prompt(tuple(float(x) for x in image.affine[:3, :3] @ (8, 10, 9) + image.affine[:3, 3]))
    for expert in (None, *model.experts):
        assert session.segment([at], expert=expert).mask.shape == image.shape
    assert session.segment([], organ="rod").experts == {"rod": 1.0}
    assert session.segment([at]).confidence is not None  # its head was trained


def test_a_warm_up_learns_names_and_the_foundation_goes_on_from_it(write_recipe, world: Path) -> None:
    held = [{"folder": str(world), "cases": ["case3"]}]
    warming = {"task": "sam3d/warmup", "targets": 2, "learning_rate": 1e-2, "validation": held, "save_every": 500}
    few, many = (run(write_recipe(f"warm{n}", steps=n, **warming)) for n in (1, 200))
    assert few[1]["dice"] < 0.2 < 0.4 < many[1]["dice"] and set(many[1]) == {"dice", "dice/ball", "dice/rod"}
    warm = {"start": {"weights": "out_warm200"}, "cropping": None, "steps": 1, "learning_rate": 1e-9}
    general, _ = run(write_recipe("general", **warm))
    before, after = (Sam3DModel.from_pretrained(recipe.output).state_dict() for recipe in (many[0], general))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_a_killed_warm_up_goes_on_with_its_names(write_recipe) -> None:
    whole, _ = run(write_recipe("whole", task="sam3d/warmup", steps=5, targets=2))
    recipe = load_recipe(write_recipe("killed", task="sam3d/warmup", steps=5, targets=2, save_every=2))
    job = import_module(TASKS[recipe.task]).prepare(recipe)
    dies_after(job, 3)
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, job)
    train(recipe, import_module(TASKS[recipe.task]).prepare(recipe))
    for name in ("model.safetensors", "names.safetensors"):
        assert (whole.output / name).read_bytes() == (recipe.output / name).read_bytes()


def test_varied_rounds_are_one_to_the_most_and_judged_at_the_most(write_recipe) -> None:
    recipe = load_recipe(write_recipe("varied"), ["interaction.clicks=3", "interaction.varied=true"])
    job = import_module(TASKS[recipe.task]).prepare(recipe)
    answer, seen = job.module.answer, []
    job.module.answer = lambda *given: seen.append(1) or answer(*given)
    counts = set()
    for i in range(12):
        seen.clear()
        job.module(**job.collate([job.dataset[i]]))
        counts.add(len(seen))
    assert counts == {1, 2, 3}
    job.module.eval()
    seen.clear()
    job.module(**job.collate([job.dataset[0]]))
    assert len(seen) == 3


def test_a_killed_expert_with_lora_goes_on_as_if_it_had_not_been(write_recipe) -> None:
    run(write_recipe("general", steps=2))
    later = {"task": "sam3d/expert", "start": None, "cropping": None, "foundation": "out_general", "save_every": 2}
    task = {"name": "rod", "targets": ["rod"], "lora": {"rank": 2, "alpha": 4}}
    paths = [write_recipe(name, expert=task, steps=5, **later) for name in ("whole", "killed")]
    whole, _ = run(paths[0])
    recipe = load_recipe(paths[1])
    job = import_module(TASKS[recipe.task]).prepare(recipe)
    dies_after(job, 3)
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, job)
    again, _ = run(paths[1])
    for file in ("decoder.safetensors", "adapter/adapter_model.safetensors"):
        assert (again.output / file).read_bytes() == (whole.output / file).read_bytes()


def test_judging_on_the_way_changes_nothing_of_an_expert_with_lora(write_recipe, world: Path) -> None:
    run(write_recipe("general", steps=2))
    later = {"task": "sam3d/expert", "start": None, "cropping": None, "foundation": "out_general", "steps": 3}
    later |= {"expert": {"name": "rod", "targets": ["rod"], "lora": {"rank": 2, "alpha": 4}}}
    later |= {"validation": [{"folder": str(world), "cases": ["case3"]}]}
    unseen, judged = (run(write_recipe(f"e{n}", evaluate_every=n, **later))[0].output for n in (0, 1))
    for file in ("decoder.safetensors", "adapter/adapter_model.safetensors"):
        assert (unseen / file).read_bytes() == (judged / file).read_bytes()


def test_a_foundation_or_expert_that_is_not_there_is_one_clear_line(write_recipe) -> None:
    later = {"start": None, "cropping": None, "foundation": "nowhere"}
    with pytest.raises(VesaliusError, match="nowhere: holds no SAM-Med3D"):
        run(write_recipe("e", task="sam3d/expert", expert={"name": "a", "targets": ["ball"]}, **later))
    with pytest.raises(VesaliusError, match="nowhere: holds no SAM-Med3D"):
        run(write_recipe("g", task="sam3d/gate", experts=["nowhere"], **later))


def test_the_command_trains_shows_a_batch_and_says_what_came(write_recipe, tmp_path: Path) -> None:
    path = write_recipe(steps=2)
    looked = CliRunner().invoke(app, ["train", str(path), "--look"])
    page = (tmp_path / "out_recipe" / "data.html").read_text()
    assert looked.exit_code == 0 and page.count("data:image/png") == 12 and "ball" in page
    assert not (tmp_path / "out_recipe" / "model.safetensors").exists()
    done = CliRunner().invoke(app, ["train", str(path), "--set", "steps=1"])
    assert done.exit_code == 0 and (tmp_path / "out_recipe" / "model.safetensors").is_file()


def test_training_clicks_lie_in_what_is_wrong_and_depend_on_their_own_crop_alone() -> None:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.random((3, 1, 8, 8, 8)) < 0.3).float()
    mask = torch.from_numpy(rng.random((3, 8, 8, 8)) < 0.3)
    seeds = torch.tensor([5, 6, 7])
    together = Clicker(truth, seeds)
    for _ in range(4):
        together.click(mask)
    for i in range(3):
        alone = Clicker(truth[i : i + 1], seeds[i : i + 1])
        for _ in range(4):
            alone.click(mask[i : i + 1])
        assert torch.equal(alone.points[0], together.points[i])
        for point, label in zip(together.points[i].long(), together.labels[i], strict=True):
            assert mask[i][tuple(point)] != (truth[i, 0][tuple(point)] > 0)
            assert label == truth[i, 0][tuple(point)]


def test_two_rounds_of_a_step_are_without_clicks_as_published() -> None:
    torch.manual_seed(0)
    sizes = {
        "image_size": 16, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "window_size": 4, "global_attn_indexes": [0], "prompt_dim": 24, "mask_in_chans": 16, "decoder_heads": 2,
    }  # fmt: skip
    model = Sam3DModel(Sam3DConfig(**sizes))
    seen = []

    def watching(embeddings, prompts):
        seen.append(0 if prompts.points is None else prompts.points.shape[1])
        return model.decode(embeddings, prompts)

    module = InteractiveTraining(model, Interaction(clicks=11), watching)
    truth = (torch.rand(2, 1, 16, 16, 16) < 0.2).float()
    for seed in range(6):
        seen.clear()
        out = module(torch.randn(2, 1, 16, 16, 16), truth, torch.tensor([seed, 9]), torch.arange(2))
        assert len(seen) == 11 and seen[-1] == 0 and seen.count(0) == 2 and 2 <= seen.index(0) <= 8
        assert [n for n in seen if n] == [i + 1 for i, n in enumerate(seen) if n]
    assert 0 <= out["dice"] <= 1


def test_the_loss_is_monais_dice_and_cross_entropy_summed_over_rounds() -> None:
    """One round, worked out by hand: mean cross entropy plus Dice with squared denominators."""
    torch.manual_seed(0)
    sizes = {
        "image_size": 16, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "window_size": 4, "global_attn_indexes": [0], "prompt_dim": 24, "mask_in_chans": 16, "decoder_heads": 2,
    }  # fmt: skip
    model = Sam3DModel(Sam3DConfig(**sizes)).eval()
    truth = (torch.rand(1, 1, 16, 16, 16) < 0.2).float()
    image = torch.randn(1, 1, 16, 16, 16)
    kept = []

    def keeping(embeddings, prompts):
        kept.append(model.decode(embeddings, prompts))
        return kept[-1]

    loss = InteractiveTraining(model, Interaction(clicks=1), keeping)(
        image, truth, torch.tensor([3]), torch.tensor([0])
    )["loss"]
    logits = model.upscale(kept[0].logits)
    p = logits.sigmoid()
    entropy = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    dice = 1 - (2 * (p * truth).sum() + 1e-5) / ((p**2).sum() + (truth**2).sum() + 1e-5)
    assert loss.item() == pytest.approx((entropy + dice).item(), rel=1e-4)
