"""Trainings that are killed, resumed, shared and refused."""

import csv
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vesalius.errors import VesaliusError
from vesalius.run import Interrupted
from vesalius.train.recipe import TASKS, Recipe, load_recipe
from vesalius.train.trainer import train


def run(path: Path, *changes: str, stop_at: int | None = None, error: type[BaseException] = RuntimeError, **more):
    """Trains as the command does; `stop_at` kills it in the middle of that batch."""
    recipe = load_recipe(path, changes)
    job = import_module(TASKS[recipe.task]).prepare(recipe)
    if stop_at is not None:
        forward, seen = job.module.forward, []

        def dying(*args, **kwargs):
            seen.append(1)
            if len(seen) > stop_at:
                raise error("killed")
            return forward(*args, **kwargs)

        job.module.forward = dying
    return recipe, train(recipe, job, **more)


def curve(recipe: Recipe) -> list[tuple[str, str, str]]:
    with open(recipe.output / "losses.csv") as stream:
        return [(row["step"], row["loss"], row["dice"]) for row in csv.DictReader(stream) if row["loss"]]


def weights(recipe: Recipe) -> dict[str, torch.Tensor]:
    return load_file(recipe.output / "model.safetensors")


@pytest.mark.parametrize("killed", [(2,), (3, 4), (7,)])
def test_a_training_killed_at_any_step_goes_on_with_the_same_losses(killed, write_recipe) -> None:
    whole, _ = run(write_recipe("whole"))
    path = write_recipe("killed")
    for stop in killed:
        with pytest.raises(RuntimeError, match="killed"):
            run(path, stop_at=stop)
    again, metrics = run(path)
    assert curve(again) == curve(whole) and len(curve(whole)) == 8
    assert all(torch.equal(a, b) for a, b in zip(weights(again).values(), weights(whole).values(), strict=True))
    assert not list(again.output.glob("checkpoint-*")) and run(path)[1] == metrics


def test_ctrl_c_keeps_the_step_it_came_in(write_recipe) -> None:
    path = write_recipe("stopped", save_every=100)
    with pytest.raises(Interrupted, match="stopped at step 5 of 8; kept"):
        run(path, stop_at=5, error=KeyboardInterrupt)
    assert (load_recipe(path).output / "checkpoint-5").is_dir()
    whole, _ = run(write_recipe("whole"))
    again, _ = run(path)
    assert curve(again) == curve(whole)


def test_a_checkpoint_that_was_not_written_to_its_end_is_left_out(write_recipe) -> None:
    path = write_recipe("torn")
    with pytest.raises(RuntimeError):
        run(path, stop_at=7)
    out = load_recipe(path).output
    (out / "checkpoint-6" / "trainer_state.json").unlink()
    whole, _ = run(write_recipe("whole"))
    again, _ = run(path)
    assert curve(again) == curve(whole)


@pytest.mark.skipif(torch.cuda.device_count() == 1, reason="two processes want a GPU each, or none")
def test_two_processes_that_begin_anew_give_the_weights_of_one_with_doubled_accumulation(write_recipe) -> None:
    torch.set_num_threads(1)  # as the two have: sums of more threads differ in their last bits
    one, _ = run(write_recipe("one", batch_size=1, accumulate=2, steps=4))
    run(write_recipe("two", steps=1, seed=5))
    path = write_recipe("two", batch_size=1, steps=4)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29577", "-m", "vesalius"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command, "train", path, "--restart"], env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    two = load_recipe(path)
    assert [row[0] for row in curve(two)] == [row[0] for row in curve(one)]
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(two)[name], value, atol=2e-6, rtol=1e-4, msg=name)


def test_the_output_of_another_recipe_is_left_alone_unless_told(write_recipe) -> None:
    recipe, _ = run(write_recipe(steps=1))
    with pytest.raises(VesaliusError, match="holds a training of another recipe"):
        run(write_recipe(steps=1, seed=5))
    run(write_recipe(steps=1, seed=5), restart=True)
    other = recipe.output.with_name("other")
    other.mkdir()
    (other / "model.safetensors").touch()
    with pytest.raises(VesaliusError, match="holds weights of something else"):
        run(write_recipe(steps=1), "output=other")


def test_a_loss_that_is_no_number_stops_with_a_remedy(write_recipe) -> None:
    with pytest.raises(VesaliusError, match=r"the loss is nan at step .* lower learning_rate"):
        run(write_recipe(learning_rate=1e12, steps=30, schedule={"kind": "constant"}, clip_gradient=0))


def test_unknown_training_arguments_and_schedules_are_said(write_recipe) -> None:
    with pytest.raises(VesaliusError, match="TrainingArguments has no fsdpp"):
        run(write_recipe(trainer={"fsdpp": True}))
    with pytest.raises(VesaliusError, match="no schedule is called zigzag"):
        run(write_recipe("zigzag", schedule={"kind": "zigzag"}))


def test_the_published_schedule_steps_down_twice(write_recipe) -> None:
    recipe, _ = run(write_recipe(steps=10, schedule={"kind": "multistep", "at": [0.6, 0.9], "factor": 0.1}))
    with open(recipe.output / "losses.csv") as stream:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(stream) if row["learning_rate"]]
    assert rates == pytest.approx([1e-3] * 6 + [1e-4] * 3 + [1e-5], rel=1e-6) or rates == pytest.approx(
        [1e-3] * 5 + [1e-4] * 3 + [1e-5] * 2, rel=1e-6
    )


def test_the_output_has_card_hashes_recipe_losses_and_a_golden_case(write_recipe, world: Path) -> None:
    from vesalius.models.promptable import open_promptable
    from vesalius.run import file_hash

    path = write_recipe("card", validation=[{"folder": str(world), "cases": ["case3"]}], report_to="tensorboard")
    recipe, metrics = run(path, "evaluate_every=4")
    card = (recipe.output / "README.md").read_text()
    assert file_hash(recipe.output / "model.safetensors") in card and "case3" in card and "Not a medical device" in card
    assert 0 <= metrics["dsc@2"] <= 1 and {"dsc@2/ball", "dsc@2/rod"} <= metrics.keys()
    again = load_recipe(recipe.output / "recipe.yaml")
    assert again.stamp == recipe.stamp and again.output.resolve() == recipe.output.resolve()
    assert str(world) not in card
    with open(recipe.output / "losses.csv") as stream:
        assert [row["step"] for row in csv.DictReader(stream) if row["eval_dsc@2"]] == ["4", "8"]
    assert list(recipe.output.rglob("events.out.tfevents*"))
    model = open_promptable(recipe.output)
    assert "golden case as stored" in model.check()  # type: ignore[attr-defined]
    golden = json.loads((recipe.output / "golden.json").read_text())
    (recipe.output / "golden.json").write_text(json.dumps({**golden, "dsc": golden["dsc"] + 0.3}))
    with pytest.raises(VesaliusError, match="its golden case comes out with a DSC"):
        model.check()  # type: ignore[attr-defined]
