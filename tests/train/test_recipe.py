"""A wrong recipe is one line that names the key and the remedy."""

from pathlib import Path

import pytest

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d import Sam3DConfig
from vesalius.train.recipe import TASKS, load_recipe
from vesalius.train.sam3d.settings import Sizes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "sam3d/pretrian"}, r"key task: 'sam3d/pretrian' is no task — did you mean sam3d/pretrain\?"),
        ({"task": None}, "lacks the key task"),
        ({"stepz": 5}, r"has no key stepz — did you mean steps\?"),
        ({"steps": 0}, "key steps: input should be greater than or equal to 1"),
        ({"steps": None}, "lacks the key steps"),
        ({"interaction": {"click": 3}}, r"has no key interaction.click — did you mean clicks\?"),
        ({"start": {"sizes": {"hiden_size": 3}}}, r"has no key start.sizes.hiden_size — did you mean hidden_size\?"),
        ({"data": [{"folderr": "x"}]}, r"has no key data.0.folderr — did you mean folder\?"),
        ({"data": []}, "key data"),
        ({"learning_rate": "fast"}, "key learning_rate"),
        ({"schedule": {"kind": "multistep", "at": "x"}}, "key schedule.at"),
    ],
)
def test_a_wrong_key_is_named_with_its_remedy(changes, said: str, write_recipe) -> None:
    with pytest.raises(VesaliusError, match=said) as error:
        load_recipe(write_recipe(**changes))
    assert "recipe.yaml" in str(error.value)


def test_a_file_that_is_no_yaml_says_the_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("task: sam3d/pretrain\nsteps: [1\n")
    with pytest.raises(VesaliusError, match=r"is no YAML \(line 3"):
        load_recipe(tmp_path / "x.yaml")
    with pytest.raises(VesaliusError, match="there is no such recipe"):
        load_recipe(tmp_path / "y.yaml")


def test_paths_are_relative_to_the_recipe_and_values_can_be_set(write_recipe, tmp_path: Path) -> None:
    recipe = load_recipe(
        write_recipe(), ["steps=5", "interaction.clicks=7", "output=elsewhere", "schedule.kind=linear"]
    )
    assert (recipe.steps, recipe.interaction.clicks, recipe.schedule.kind) == (5, 7, "linear")  # type: ignore[attr-defined]
    assert recipe.output == tmp_path / "elsewhere"
    with pytest.raises(VesaliusError, match="changes nothing"):
        load_recipe(write_recipe(), ["steps"])


def test_what_only_changes_speed_is_not_another_training(write_recipe) -> None:
    stamp = load_recipe(write_recipe()).stamp
    assert load_recipe(write_recipe(), ["save_every=2", "loaders=1", "report_to=tensorboard"]).stamp == stamp
    assert load_recipe(write_recipe(), ["seed=1"]).stamp != stamp


def test_every_recipe_in_the_repository_is_valid() -> None:
    files = sorted((Path(__file__).parents[2] / "recipes").glob("sam3d/*.yaml"))
    assert {load_recipe(file).task for file in files} == set(TASKS)


def test_every_study_in_the_repository_is_valid_and_its_trainings_are_recipes(tmp_path: Path) -> None:
    from vesalius.train.recipe import build_recipe
    from vesalius.train.sam3d.study import load_study, plans, trainings

    for file in sorted((Path(__file__).parents[2] / "recipes").glob("studies/*.yaml")):
        study = load_study(file)
        cases = [plan.case for plan in plans(study, 1) if plan.split == "training"]
        given = trainings(study, 1, cases)
        recipes = {name: build_recipe(one.recipe, tmp_path / "x.yaml") for name, one in given.items()}
        experts = {f"expert {task}" for task in study.tasks}
        assert set(recipes) == {"warmup", "generalist", "continued", "tuned", "joined", *experts}
        assert all(given[name].after == ("generalist",) for name in ("continued", "tuned", *experts))
        assert recipes["continued"].steps == recipes["tuned"].steps == study.expert.steps * len(study.tasks)
        seen = set(recipes["generalist"].data[0].cases)  # type: ignore[attr-defined]
        held = set(recipes["generalist"].validation[0].cases)  # type: ignore[attr-defined]
        assert not seen & held and seen | held == set(cases)
        assert not set(study.tasks) & set(recipes["generalist"].data[0].structures)  # type: ignore[attr-defined]


def test_a_wrong_study_is_said(tmp_path: Path) -> None:
    from vesalius.train.sam3d.study import load_study

    (tmp_path / "x.yaml").write_text("tasks: [heart]\n")
    with pytest.raises(VesaliusError, match="key sizes: field required"):
        load_study(tmp_path / "x.yaml")


def test_the_sizes_of_a_recipe_are_the_networks_own() -> None:
    own = Sam3DConfig().to_dict()
    sizes = Sizes().model_dump()
    assert {name: list(v) if isinstance(v, tuple) else v for name, v in sizes.items()} == {n: own[n] for n in sizes}


def test_the_generalists_way_to_their_plateau_is_a_table_and_a_picture(tmp_path: Path) -> None:
    from vesalius.train.sam3d.plateau import write_plateau

    for seed, last in ((1, 0.7), (2, 0.8)):
        (tmp_path / str(seed)).mkdir()
        rows = f"step,loss,eval_dsc@5\n50,1.2,\n500,0.9,0.5\n1000,0.8,{last}\n"
        (tmp_path / str(seed) / "losses.csv").write_text(rows)
    table = write_plateau({1: tmp_path / "1", 2: tmp_path / "2"}, 5, tmp_path)
    assert table.rows() == [(1, 500, 0.5), (1, 1000, 0.7), (2, 500, 0.5), (2, 1000, 0.8)]
    assert (tmp_path / "plateau.png").stat().st_size > 5000 and "2 seeds" in (tmp_path / "plateau.svg").read_text()
