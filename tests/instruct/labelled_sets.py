"""Small labelled sets on disk, one function a layout; each picture is of its own so that it can be told apart."""

import csv
import json
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

CLASSES = ("benign_tumour", "malignant", "normal")


def picture(number: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Grey noise with the number's own brightness; no part is black or white."""
    noise = np.random.default_rng(number).integers(60, 160, (size[1], size[0], 3))
    return Image.fromarray((noise + number % 60).astype(np.uint8))


def save(path: Path, image: Image.Image, **more) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **more)
    return path


def config(folder: Path, **keys) -> Path:
    """A YAML beside the set."""
    base = {"name": folder.name, "root": folder.name, "taxonomy": {"modality": "ultrasound", "department": "oncology",
            "clinical vqa task": "disease diagnosis"}}  # fmt: skip
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump({**base, **keys}))
    return path


def rows(path: Path, table: list[dict]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def class_folders(folder: Path, each: int = 8, inside: str = "") -> Path:
    """`folder/<class>/patient07_3_<class>.png`: two pictures a patient."""
    for c, name in enumerate(CLASSES):
        for i in range(each):
            who = f"p{c}{i // 2:02d}"
            save(folder / inside / name / f"{who}_{i}_{name}.png", picture(100 * c + i))
    return config(folder, layout="folders", patient={"pattern": r"/(p\d+)_"}, labels={name: name for name in CLASSES})


def disc(size: tuple[int, int], x: int, y: int, r: int, value: int = 255) -> np.ndarray:
    rows_, columns = np.indices(size[::-1])
    return np.where((rows_ - y) ** 2 + (columns - x) ** 2 <= r * r, value, 0).astype(np.uint8)


def voc(folder: Path, n: int = 24) -> Path:
    """Cells of three kinds, so many of each that counts differ; `image03.jpg` has one object without area."""
    for i in range(n):
        save(folder / "JPEGImages" / f"image{i:02d}.jpg", picture(i))
        boxes = [("red", 5 + 22 * (j % 4), 5 + 20 * (j // 4)) for j in range(1 + i % 6)]
        boxes += [("white", 70, 55)] if i % 2 else []
        boxes += [("platelet", 40, 55)] if i % 3 else []
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + 14}</xmax>"
            f"<ymax>{y + 14}</ymax></bndbox></object>" for name, x, y in boxes
        )  # fmt: skip
        if i == 3:
            objects += "<object><name>red</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>20</ymax></bndbox></object>"  # noqa: E501
        xml = f"<annotation><filename>image{i:02d}.jpg</filename><size><width>96</width><height>80</height></size>{objects}</annotation>"  # noqa: E501
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"image{i:02d}.xml").write_text(xml)
    labels = {"red": "red cell", "white": "white cell", "platelet": "platelet"}
    return config(folder, layout="voc", images="JPEGImages", annotations="Annotations", labels=labels)


def coco(folder: Path, n: int = 20) -> Path:
    """Organs as polygons, run lengths and packed run lengths, and a crowd."""
    images, annotations = [], []
    packed = "a9??00000000DE5;KE5;KE5;70000000000000000000000W9"  # pycocotools 2.0: 40×30, a box with a hole
    for i in range(n):
        save(folder / "data" / f"{i}.png", picture(i, (40, 30)))
        images.append({"id": i, "file_name": f"{i}.png", "width": 40, "height": 30})
        kind = i % 3 + 1
        outline = [[4, 4, 16, 4, 16, 16, 4, 16]] if i % 2 else {"size": [30, 40], "counts": [10 * 30, 150, 750]}
        box = [4, 4, 12, 12] if i % 2 else [10, 0, 5, 30]
        annotations.append({"id": i, "image_id": i, "category_id": kind, "bbox": box, "segmentation": outline})
        if i % 4 == 0:
            more = {"segmentation": {"size": [30, 40], "counts": packed}, "bbox": [10, 5, 20, 15]}
            annotations.append({"id": 100 + i, "image_id": i, "category_id": kind, **more})
    annotations.append(
        {"id": 999, "image_id": 0, "category_id": 2, "iscrowd": 1, "segmentation": [], "bbox": [0, 0, 9, 9]}
    )
    categories = [{"id": 1, "name": "liver"}, {"id": 2, "name": "spleen"}, {"id": 3, "name": "kidney"}]
    (folder / "instances.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    labels = {name: name for name in ("liver", "spleen", "kidney")}
    return config(folder, layout="coco", images="data", annotations="instances.json", labels=labels)


def label_masks(folder: Path, n: int = 16) -> Path:
    """`images/3.png`, `masks/3_seg.png` with the ids 1, 2 and 3."""
    for i in range(n):
        save(folder / "images" / f"{i}.png", picture(i))
        mask = disc((96, 80), 20, 20, 10, 1) + disc((96, 80), 70, 20, 10, 2 if i % 2 else 3)
        save(folder / "masks" / f"{i}_seg.png", Image.fromarray(mask))
    labels = {1: "left lung", 2: "heart", 3: "right lung"}
    return config(folder, layout="masks", masks="masks", labels=labels)


def one_mask(folder: Path, n: int = 12) -> Path:
    """One kind of object: pictures and `…_mask.png` side by side."""
    for i in range(n):
        save(folder / f"case {i}.png", picture(i))
        save(folder / f"case {i}_mask.png", Image.fromarray(disc((96, 80), 24, 24 + i, 9)))
    return config(folder, layout="masks", mask_suffix="_mask", labels={"polyp": "polyp"})


def box_table(folder: Path, n: int = 18) -> Path:
    """A row a box, x, y, width, height; two labels that lie apart."""
    table = []
    for i in range(n):
        save(folder / f"scan{i}.png", picture(i))
        for j in range(1 + i % 4):
            kind = "nodule" if (i + j) % 2 else "cyst"
            table.append(
                {"file": f"scan{i}", "kind": kind, "x": 4 + 22 * j, "y": 8, "w": 16, "h": 20, "subject": i // 2}
            )
    rows(folder / "boxes.csv", table)
    columns = {"image": "file", "label": "kind", "box": ["x", "y", "w", "h"]}
    labels = {"nodule": "nodule", "cyst": "cyst"}
    return config(folder, layout="csv", table="boxes.csv", columns=columns, labels=labels, patient="subject")


def mask_table(folder: Path, n: int = 16) -> Path:
    """A CSV that names masks, with the label, an eye and a count."""
    table = []
    for i in range(n):
        save(folder / "pictures" / f"mel_nv_{i}.jpg", picture(i))
        save(folder / "truth" / f"t{i}.png", Image.fromarray(disc((96, 80), 30, 30, 12)))
        table.append({"img": f"pictures/mel_nv_{i}.jpg", "mask": f"truth/t{i}.png", "dx": ("mel", "nv")[i % 2],
                      "eye": ("OD", "OS")[i // 2 % 2], "moles": i % 5, "who": f"mel-{i}"})  # fmt: skip
    rows(folder / "table.csv", table)
    questions = [
        {"ask": "label", "granularity": ["image", "box", "mask", "contour"]},
        {"ask": "label", "column": "eye", "labels": {"OD": "right eye", "OS": "left eye"}, "noun": "side"},
        {"ask": "count", "column": "moles", "noun": "moles"},
    ]
    return config(folder, layout="csv", table="table.csv", columns={"image": "img", "mask": "mask", "label": "dx"},
                  labels={"mel": "melanoma", "nv": "nevus"}, questions=questions, patient="who")  # fmt: skip


ALL = {
    "class_folders": class_folders, "voc": voc, "coco": coco, "label_masks": label_masks, "one_mask": one_mask,
    "box_table": box_table, "mask_table": mask_table,
}  # fmt: skip
