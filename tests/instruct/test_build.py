"""Labelled sets of every layout to a benchmark that reads back, is balanced, split by patient, and leaks nothing."""

import csv
import json
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path

import labelled_sets
import numpy as np
import pytest
import yaml
from PIL import Image

from vesalius.errors import VesaliusError
from vesalius.formats import gmai
from vesalius.instruct.blind import Item, baselines
from vesalius.instruct.build import build, write_counts
from vesalius.instruct.config import read_config
from vesalius.instruct.readers import read_set
from vesalius.models.prompt import Prompt, render


def made(path: Path, out: Path, **more):
    config = read_config(path)
    return build([(config, path.parent / config.root)], out, **more)


def samples(out: Path):
    return list(gmai.read(out, out.parent / "media"))


def answer(sample):
    return sample.question.options["ABCDEFGH".index(sample.expected.parts[0].text)]


@pytest.fixture(scope="module", params=labelled_sets.ALL)
def whole(request, tmp_path_factory):
    """A set of each layout, and what came of it."""
    folder = tmp_path_factory.mktemp("whole")
    path = labelled_sets.ALL[request.param](folder / request.param)
    return request.param, path, made(path, folder / "b.tsv"), samples(folder / "b.tsv")


def test_every_layout_becomes_questions(whole):
    name, _, built, read = whole
    assert len(read) == len(built.planned) >= 8
    asked = Counter((planned.template.ask, planned.template.granularity) for planned in built.planned)
    wanted = {
        "class_folders": {("label", "image")},
        "voc": {("label", "box"), ("count", "image"), ("presence", "image")},
        "coco": {("label", g) for g in ("image", "box", "mask", "contour")} | {("count", "image")},
        "label_masks": {("label", g) for g in ("box", "mask", "contour")} | {("presence", "image")},
        "one_mask": {("presence", g) for g in ("box", "mask", "contour")},
        "box_table": {("label", "box"), ("count", "image")},
        "mask_table": {("label", g) for g in ("image", "box", "mask", "contour")} | {("count", "image")},
    }[name]
    assert wanted <= asked.keys()
    for sample, planned in zip(read, built.planned, strict=True):
        assert answer(sample) == planned.options[planned.answer]
        assert "ultrasound" in sample.question.messages[0].parts[-1].text
        assert sample.metadata["perceptual_granularity"] == planned.template.granularity
        for key in ("modality", "department", "clinical_vqa_task", "category", "l2_category", "split", "dataset",
                    "template", "image_id"):  # fmt: skip
            assert sample.metadata[key]
        with Image.open(sample.question.media[0].path) as image:
            assert image.size[0] >= 40


def test_answers_are_those_of_the_labels(whole):
    _, path, built, _ = whole
    config = read_config(path)
    for planned in built.planned:
        template, image = planned.template, planned.image
        right = planned.options[planned.answer]
        if template.ask == "count" and template.id.endswith("moles/image"):
            assert right == image.row["moles"]
        elif template.ask == "count":
            key = next(k for k, label in config.space.items() if label.name == template.name)
            assert int(right) == sum(region.label == key for region in image.regions)
        elif template.ask == "label" and "eye" not in template.id:
            key = next(k for k, label in template.space.items() if label.name == right)
            region = planned.candidate.region
            assert key in (image.labels if region is None else {image.regions[region].label})
            others = {k for k, label in template.space.items() if label.name in planned.options} - {key}
            assert region is not None or not others & image.labels


def test_no_words_beat_chance_in_any_template(whole):
    items = defaultdict(list)
    texts = defaultdict(lambda: defaultdict(Counter))
    for sample in whole[3]:
        template = sample.metadata["template"]
        items[template].append(Item(sample.question.options, "ABCDEFGH".index(sample.expected.parts[0].text)))
        text = render(sample.question, Prompt()).messages[-1].parts[-1].text
        texts[template][text][answer(sample)] += 1
    for template, some in items.items():
        assert len({len(item.options) for item in some}) == 1, template
        assert baselines(some).above == [], template
        for text, answers in texts[template].items():  # the strongest blind model knows every question by heart
            assert len(set(answers.values())) == 1 and len(answers) == len(some[0].options), text


def test_no_image_is_asked_more_than_four_times_and_nothing_twice(whole):
    per_image = Counter(sample.metadata["image_id"] for sample in whole[3])
    assert max(per_image.values()) <= 4
    asked = Counter((p.image.name, p.template.id, p.candidate.region, p.candidate.decoy) for p in whole[2].planned)
    assert max(asked.values()) == 1


def test_patients_stand_on_one_side(whole):
    name, _, built, read = whole
    sides = defaultdict(set)
    for planned in built.planned:
        sides[planned.patient].add(planned.side)
    if name in ("class_folders", "box_table", "mask_table"):
        assert all(len(side) == 1 for side in sides.values())
        assert {sample.metadata["split"] for sample in read} == {"val", "test"}
        assert len({s.metadata["patient_id"] for s in read}) == len(sides)
        assert not any("no patient key" in warning for warning in built.warnings)
    else:
        assert sides == {None: {"test"}}
        assert any("no patient key, so the whole set stands in «test»" in warning for warning in built.warnings)


def test_no_label_or_name_leaves_the_set_but_as_an_option(whole):
    _, path, built, read = whole
    config = read_config(path)
    labels = {key.lower() for key in config.labels if len(key) > 2}
    names = {word for planned in built.planned for word in (planned.image.path.name, planned.image.path.stem)}
    patients = {planned.patient for planned in built.planned if planned.patient and len(planned.patient) > 3}
    seen = set()
    for sample in read:
        text = sample.question.messages[0].parts[-1].text.lower()
        asks = sample.metadata["template"]
        if "/label/" in asks:
            assert not any(option.lower() in text for option in sample.question.options)
        cells = " ".join(str(value) for key, value in sample.metadata.items() if key != "index").lower()
        if "count of" not in asks and "presence of" not in asks:  # these say what is looked for
            assert not any(f"{label}" in cells.replace(config.name, "") for label in labels)
        for word in {n for n in names if len(n) > 3} | patients:
            assert word.lower() not in cells and word.lower() not in text
        data = Path(sample.question.media[0].path).read_bytes()
        with Image.open(sample.question.media[0].path) as image:
            assert not image.getexif() and not {"comment", "exif", "Comment"} & image.info.keys()
            seen.add((image.format, image.mode))
        assert not any(label.encode() in data for label in labels if len(label) > 5)
    assert len(seen) == 1, "format and mode tell nothing"


@pytest.mark.parametrize("layout", ["class_folders", "voc", "mask_table"])
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path, layout):
    path = labelled_sets.ALL[layout](tmp_path / layout)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        made(path, tmp_path / f"{name}.tsv", seed=seed)
    a, b, c = ((tmp_path / f"{name}.tsv").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("layout", ["class_folders", "voc", "box_table"])
def test_balance_holds_for_any_seed_and_limit(tmp_path, layout, seed):
    path = labelled_sets.ALL[layout](tmp_path / layout)
    built = made(path, tmp_path / "b.tsv", seed=seed, per_image=1 + seed)
    assert not any(blind.above for blind in built.by_template().values())
    assert max(Counter(planned.image.name for planned in built.planned).values()) <= 1 + seed


def test_bad_files_cost_their_own_questions_and_a_line(tmp_path):
    path = labelled_sets.class_folders(tmp_path / "s")
    (tmp_path / "s" / "malignant" / "p100_0_malignant.png").write_bytes(b"no picture")
    (tmp_path / "s" / "normal" / "p900_x.png").write_bytes((tmp_path / "s/normal/p200_0_normal.png").read_bytes()[:300])
    labelled_sets.save(tmp_path / "s" / "stray.png", labelled_sets.picture(5))
    built = made(path, tmp_path / "b.tsv")
    lines = sorted(str(problem) for problem in built.problems)
    assert len(built.planned) >= 15 and not any("p100_0" in p.image.name for p in built.planned)
    assert any("stray.png: lies in no class folder" in line for line in lines)
    assert any("malignant/p100_0_malignant.png: the image cannot be read" in line for line in lines)
    write_counts(built, tmp_path / "b.tsv")
    found = (tmp_path / "b.problems.csv").read_text()
    assert "p100_0_malignant.png" in found and len((tmp_path / "b.counts.csv").read_text().splitlines()) >= 2


def test_rows_without_label_image_patient_or_mask(tmp_path):
    path = labelled_sets.mask_table(tmp_path / "s")
    table = (tmp_path / "s" / "table.csv").read_text().splitlines()
    table[1] = table[1].replace(",mel,", ",,")
    table[2] = table[2].replace("mel_nv_1.jpg", "gone.jpg")
    table[3] = table[3].replace("mel-2", "")
    table[4] = table[4].replace("t3.png", "gone.png")
    (tmp_path / "s" / "table.csv").write_text("\n".join(table))
    built = made(path, tmp_path / "b.tsv")
    lines = "\n".join(map(str, built.problems))
    for words in ("mel_nv_0.jpg: has no label", "gone.jpg: there is no such image", "nobody knows its patient",
                  "gone.png: there is no such image"):  # fmt: skip
        assert words in lines
    assert len(built.problems) == 4 and built.planned


def test_a_broken_mask_costs_its_image(tmp_path):
    path = labelled_sets.one_mask(tmp_path / "s")
    (tmp_path / "s" / "case 3_mask.png").write_bytes(b"")
    Image.new("L", (96, 80)).save(tmp_path / "s" / "case 4_mask.png")
    built = made(path, tmp_path / "b.tsv")
    assert any("case 3_mask.png: the mask cannot be read" in str(problem) for problem in built.problems)
    assert not any(p.image.path.stem in ("case 3", "case 4") for p in built.planned)


def test_an_object_without_area_is_not_counted_as_if_it_were_not_there(tmp_path):
    built = made(labelled_sets.voc(tmp_path / "s"), tmp_path / "b.tsv")
    assert any("image03.xml: case red: the box (9, 9, 9, 20) has no area" in str(p) for p in built.problems)
    counted = [p for p in built.planned if p.template.id == "s/count of red cell/image"]
    assert counted and not any(p.image.path.stem == "image03" for p in counted)


def test_a_label_outside_the_closed_space_is_named(tmp_path):
    path = labelled_sets.class_folders(tmp_path / "s")
    labelled_sets.save(tmp_path / "s" / "malignat" / "p999_0.png", labelled_sets.picture(1))
    with pytest.raises(VesaliusError, match=r"«malignat» \(1×, first malignat/p999_0.png\).*«malignat: null»"):
        made(path, tmp_path / "b.tsv")
    assert not (tmp_path / "b.tsv").exists()
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(config | {"labels": config["labels"] | {"malignat": None}}))
    assert not any("malignat" in p.image.name.split("/") for p in made(path, tmp_path / "b.tsv").planned)


def test_a_column_outside_its_space_is_named(tmp_path):
    path = labelled_sets.mask_table(tmp_path / "s")
    table = (tmp_path / "s" / "table.csv").read_text()
    (tmp_path / "s" / "table.csv").write_text(table.replace(",OD,", ",OX,", 1))
    with pytest.raises(VesaliusError, match="column «eye» holds «OX» \\(1×\\), not in its label space"):
        made(path, tmp_path / "b.tsv")


def test_other_shapes_of_the_same_layouts(tmp_path):
    """Class folders below train and test; a folder a label of masks; coloured masks; several labels in a cell."""
    splits = labelled_sets.class_folders(tmp_path / "a", inside="train")
    labelled_sets.class_folders(tmp_path / "a", inside="test")
    config = yaml.safe_load(splits.read_text())
    splits.write_text(yaml.safe_dump(config))
    assert len(read_set(read_config(splits), tmp_path / "a").images) == 48

    for i in range(6):
        labelled_sets.save(tmp_path / "b" / "images" / f"{i}.jpg", labelled_sets.picture(i))
        for name, x in (("disc", 20), ("cup", 70)):
            mask = Image.fromarray(labelled_sets.disc((96, 80), x, 30, 12))
            labelled_sets.save(tmp_path / "b" / "masks" / name / f"{i}.jpg", mask)
    masks = labelled_sets.config(tmp_path / "b", layout="masks", masks="masks", labels={"disc": "disc", "cup": "cup"})
    found = read_set(read_config(masks), tmp_path / "b")
    assert [sorted(r.label for r in image.regions) for image in found.images] == [["cup", "disc"]] * 6
    assert abs(int(found.images[0].regions[0].mask.load().sum()) - 450) < 25, "JPEG's edges count by halves"

    for i in range(6):
        labelled_sets.save(tmp_path / "c" / "images" / f"{i}.png", labelled_sets.picture(i))
        colours = np.zeros((80, 96, 3), np.uint8)
        colours[5:30, 5:30], colours[40:70, 40:70] = (255, 0, 0), (255, 255, 255)
        labelled_sets.save(tmp_path / "c" / "masks" / f"{i}.png", Image.fromarray(colours))
    labels = {"#ff0000": "tool", "#ffffff": "tissue"}
    coloured = labelled_sets.config(tmp_path / "c", layout="masks", masks="masks", labels=labels)
    built = made(coloured, tmp_path / "c.tsv")
    assert {p.options[p.answer] for p in built.planned if p.template.ask == "label"} == {"tool", "tissue"}

    table = [{"f": f"{i}.png", "l": ("a|b", "a", "b", "c", "a|c")[i % 5]} for i in range(20)]
    for i in range(20):
        labelled_sets.save(tmp_path / "d" / f"{i}.png", labelled_sets.picture(i))
    labelled_sets.rows(tmp_path / "d" / "t.csv", table)
    columns = {"image": "f", "label": "l", "separator": "|"}
    labels = {"a": "edema", "b": "mass", "c": "cyst"}
    several = labelled_sets.config(tmp_path / "d", layout="csv", table="t.csv", labels=labels, columns=columns)
    built = made(several, tmp_path / "d.tsv")
    assert {p.template.ask for p in built.planned} == {"label", "presence"}


def test_masks_that_share_but_a_number_with_their_images(tmp_path):
    for i in range(20, 26):
        labelled_sets.save(tmp_path / "d" / "images" / f"{i}_test.tif", labelled_sets.picture(i))
        mask = Image.fromarray(labelled_sets.disc((96, 80), i, 30, 9))
        labelled_sets.save(tmp_path / "d" / "1st_manual" / f"{i}_manual1.gif", mask)
    path = labelled_sets.config(tmp_path / "d", layout="masks", masks="1st_manual", labels=["vessel"])
    for image in read_set(read_config(path), tmp_path / "d").images:
        columns = np.nonzero(image.regions[0].mask.load())[1]
        assert round(columns.mean()) == int(image.path.stem[:2])


def test_modality_by_column_and_a_condition(tmp_path):
    table = [{"f": f"{i}.png", "l": "ab"[i % 2], "m": ("CT", "MR")[i // 2 % 2], "ok": i % 8 // 7} for i in range(24)]
    for i in range(24):
        labelled_sets.save(tmp_path / "d" / f"{i}.png", labelled_sets.picture(i))
    labelled_sets.rows(tmp_path / "d" / "t.csv", table)
    path = labelled_sets.config(tmp_path / "d", layout="csv", table="t.csv", labels={"a": "left", "b": "right"},
                                columns={"image": "f", "label": "l"}, where="ok = 0",
                                taxonomy={"modality": {"column": "m"}})  # fmt: skip
    built = made(path, tmp_path / "d.tsv")
    assert {p.template.id for p in built.planned} == {"d/label/image (CT)", "d/label/image (MR)"}
    for planned in built.planned:
        assert f"{planned.image.row['m']} image" in planned.sentence and planned.image.row["ok"] == "0"


def test_a_question_with_a_condition(tmp_path):
    path = labelled_sets.mask_table(tmp_path / "s")
    config = yaml.safe_load(path.read_text())
    config["questions"] = [{"ask": "label", "where": "moles <= 2"}]
    path.write_text(yaml.safe_dump(config))
    built = made(path, tmp_path / "b.tsv")
    assert built.planned and all(int(p.image.row["moles"]) <= 2 for p in built.planned)
    path = labelled_sets.class_folders(tmp_path / "c")
    path.write_text(path.read_text() + "questions: [{ask: label, where: a = 1}]\n")
    with pytest.raises(VesaliusError, match="the set no table"):
        made(path, tmp_path / "b.tsv")


def test_instances_are_counted_and_components_are_regions(tmp_path):
    for i in range(16):
        labelled_sets.save(tmp_path / "d" / "images" / f"{i}.png", labelled_sets.picture(i))
        mask = np.zeros((80, 96), np.uint8)
        for j in range(1 + i % 4):
            mask[10:24, 4 + 22 * j : 18 + 22 * j] = j + 1
        labelled_sets.save(tmp_path / "d" / "masks" / f"{i}.png", Image.fromarray(mask))
    path = labelled_sets.config(
        tmp_path / "d", layout="masks", masks="masks", objects="values", labels={"cell": "cell"}
    )
    built = made(path, tmp_path / "d.tsv")
    counted = [p for p in built.planned if p.template.ask == "count"]
    assert len(counted) == 16 and {int(p.options[p.answer]) for p in counted} == {1, 2, 3, 4}
    assert "How many cells" in " ".join(p.sentence for p in counted)
    path.write_text(path.read_text().replace("objects: values", "objects: components"))
    found = read_set(read_config(path), tmp_path / "d")
    assert [len(image.regions) for image in found.images] == [1 + i for i in (0, 1, 2, 3)] * 4 or len(
        found.images
    ) == 16


def test_a_column_a_label_and_paths_of_another_machine(tmp_path):
    table = [{"Path": f"/data/someone/{i}.png", "Edema": ("1.0", "0.0", "-1.0")[i % 3], "Mass": "10"[i % 2],
              "Age": 40 + i} for i in range(24)]  # fmt: skip
    for i in range(24):
        labelled_sets.save(tmp_path / "d" / "deep" / f"{i}.png", labelled_sets.picture(i))
    labelled_sets.rows(tmp_path / "d" / "t.csv", table)
    path = labelled_sets.config(tmp_path / "d", layout="csv", table="t.csv", labels=["Edema", "Mass"],
                                columns={"image": "Path", "one_hot": ["Edema", "Mass"]})  # fmt: skip
    built = made(path, tmp_path / "d.tsv")
    assert not built.problems and {p.template.ask for p in built.planned} == {"label", "presence"}
    for planned in built.planned:
        right, row = planned.options[planned.answer], planned.image.row
        if planned.template.ask == "presence":
            cell = float(row[planned.template.name])
            assert cell >= 0 and right == ("Yes" if cell else "No"), "uncertain is neither"
        else:
            assert float(row[right]) == 1 and all(float(row[name]) != -1 for name in ("Edema", "Mass"))


def test_several_sets_in_one_file(tmp_path):
    paths = [labelled_sets.class_folders(tmp_path / "a"), labelled_sets.one_mask(tmp_path / "b")]
    configs = [read_config(path) for path in paths]
    built = build([(c, tmp_path / c.root) for c in configs], tmp_path / "o.tsv")
    read = samples(tmp_path / "o.tsv")
    assert {s.metadata["dataset"] for s in read} == {"a", "b"} and len(read) == len(built.planned)
    assert [s.question.id for s in read] == [str(i) for i in range(len(read))]
    first = [s.metadata["dataset"] for s in read[: len(read) // 2]]
    assert set(first) == {"a", "b"}, "the place in the file tells nothing"
    with pytest.raises(VesaliusError, match="two sets are called «a»"):
        build([(configs[0], tmp_path / "a")] * 2, tmp_path / "o.tsv")


def test_a_killed_build_leaves_the_file_before(tmp_path, monkeypatch):
    path = labelled_sets.class_folders(tmp_path / "a")
    made(path, tmp_path / "o.tsv")
    before = (tmp_path / "o.tsv").read_bytes()
    calls = count()

    def stop(*_):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return b"\x89PNG"

    monkeypatch.setattr("vesalius.instruct.build.paint", stop)
    with pytest.raises(KeyboardInterrupt):
        made(path, tmp_path / "o.tsv", seed=3)
    assert (tmp_path / "o.tsv").read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_vlmevalkit_would_read_it(tmp_path):
    """The columns and cells that `image_base.py` and `image_mcq.py` ask for."""
    made(labelled_sets.class_folders(tmp_path / "a"), tmp_path / "o.tsv")
    csv.field_size_limit(10**9)
    with open(tmp_path / "o.tsv", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert {"index", "image", "question", *"ABCDE", "answer", "category", "l2-category", "split", "clinical vqa task",
            "department", "perceptual granularity", "modality"} <= table[0].keys()  # fmt: skip
    for row in table:
        assert row["index"].isdigit() and len(row["image"]) > 64
        assert row["answer"] in "ABC" and row[row["answer"]] and not row["D"] and not row["E"]


def test_nothing_to_ask_is_one_line(tmp_path):
    labelled_sets.save(tmp_path / "a" / "x" / "1.png", labelled_sets.picture(1))
    path = labelled_sets.config(tmp_path / "a", layout="folders", labels={"x": "x", "y": "y"})
    with pytest.raises(VesaliusError, match="not one question"):
        made(path, tmp_path / "o.tsv")


@pytest.mark.parametrize("name", ["kermany_retinal_oct", "bccd_blood_cells", "nct_crc_histology"])
def test_real_sets(shared_data, tmp_path, name):
    path = Path(__file__).parents[2] / "recipes" / "bench_build" / f"{name}.yaml"
    config = read_config(path)
    built = build([(config, shared_data / "images" / config.root)], tmp_path / "o.tsv")
    assert len(built.planned) >= {"kermany_retinal_oct": 48, "bccd_blood_cells": 250, "nct_crc_histology": 8}[name]
    assert not built.problems and not any(blind.above for blind in built.by_template().values())
    assert max(Counter(p.image.name for p in built.planned).values()) <= 4
    for sample in samples(tmp_path / "o.tsv"):
        cells = json.dumps([v for k, v in sample.metadata.items() if k != "index"])
        assert not any(word in cells for word in ("BloodImage", "Image_", "NORMAL-", "CNV", "TUM-", ".jpg", ".png"))


def test_all_recipes_are_valid(shared_data):
    recipes = sorted((Path(__file__).parents[2] / "recipes" / "bench_build").glob("*.yaml"))
    folders = {p.name for p in (shared_data / "images").iterdir() if p.is_dir()} - {"vqa_rad"}
    assert {read_config(path).root for path in recipes} == folders
    for path in recipes:
        assert not read_config(path).unusual_words()
