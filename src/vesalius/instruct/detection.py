"""Boxes and polygons on disk → labelled images: Pascal VOC's XML a picture, COCO's one JSON.

Knows both layouts and their usual faults (a box without area, a picture that is not there, crowds). A fault costs one
object and makes the picture incomplete, so that nothing is counted in it; it never stops the set.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vesalius.errors import VesaliusError
from vesalius.instruct.config import SetConfig
from vesalius.instruct.labelled import Box, Labelled, Polygons, Region, RunLengths
from vesalius.instruct.readers import Found, checked_box, image_files, image_folder


def read_voc(config: SetConfig, root: Path) -> Found:
    """A folder of XML files, each about one picture.

    Raises:
        VesaliusError: there is no such folder, or it has no XML.
    """
    folder = root / config.annotations
    files = sorted(folder.rglob("*.xml")) if folder.is_dir() else []
    if not files:
        raise VesaliusError("holds no VOC files (*.xml)", file=folder, remedy="correct `annotations`", code="no_set")
    pictures = _by_name(image_folder(config, root))
    found = Found()
    for file in files:
        try:
            found.images.append(_voc_image(file, root, pictures, config, found.problems))
        except VesaliusError as error:
            found.problems.append(error)
    return found


def _by_name(folder: Path) -> dict[str, Path]:
    named = {}
    for path in image_files(folder):
        named[path.relative_to(folder).as_posix()] = named[path.name] = named[path.stem] = path
    return named


def _voc_image(
    file: Path, root: Path, pictures: dict[str, Path], config: SetConfig, problems: list[VesaliusError]
) -> Labelled:
    name = file.relative_to(root).as_posix()
    try:
        tree = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise VesaliusError(f"is no XML ({error})", file=name, code="unreadable") from None
    said = (tree.findtext("filename") or "").strip()
    path = next((pictures[key] for key in (file.stem, said, Path(said).stem) if key in pictures), None)
    if path is None:
        remedy = "put the picture beside the others, or correct `images`"
        raise VesaliusError(f"its picture «{said or file.stem}» is not there", file=name, remedy=remedy, code="missing")
    regions: list[Region] = []
    unsure: set[str] = set()
    for item in tree.iter("object"):
        try:
            regions.append(_voc_object(item, name))
        except VesaliusError as error:
            problems.append(error)
            unsure |= {error.case} if error.case else set(config.space)
    labels = frozenset(region.label for region in regions)
    width, height = (int(float(tree.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    size = (width, height) if width and height else None
    name = path.relative_to(root).as_posix()
    return Labelled(path, name, labels, tuple(regions), True, frozenset(unsure), size=size)


def _voc_object(item: ElementTree.Element, name: str) -> Region:
    label = (item.findtext("name") or "").strip()
    if not label:
        raise VesaliusError("an object has no name", file=name, code="label")
    corners = [item.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, upper, right, lower = (float(corner or "") for corner in corners)
    except ValueError:
        raise VesaliusError("an object has no box", file=name, case=label, code="box") from None
    return Region(label, checked_box((left, upper, right, lower), name, label))


def read_coco(config: SetConfig, root: Path) -> Found:
    """COCO's JSON: `images`, `annotations` with `bbox` and `segmentation`, `categories`.

    Raises:
        VesaliusError: the file is not there, no JSON, or lacks one of these.
    """
    file = root / config.annotations
    data = _coco_data(file)
    folder = image_folder(config, root)
    names = {category.get("id"): str(category.get("name")) for category in data["categories"]}
    objects: dict[Any, list[dict]] = defaultdict(list)
    found = Found()
    known = {image.get("id") for image in data["images"]}
    for item in data["annotations"]:
        objects[item.get("image_id")].append(item)
        if item.get("image_id") not in known:
            problem = f"the annotation {item.get('id')} is of an image that is not listed ({item.get('image_id')})"
            found.problems.append(VesaliusError(problem, file=config.annotations, code="row"))
    pictures = _by_name(folder)
    for image in data["images"]:
        said = str(image.get("file_name"))
        path = next((pictures[key] for key in (said, Path(said).name) if key in pictures), None)
        if path is None:
            found.problems.append(VesaliusError("there is no such image", file=said, code="missing"))
            continue
        size = int(image.get("width") or 0), int(image.get("height") or 0)
        regions: list[Region] = []
        broken: set[str] = set()
        for item in objects[image.get("id")]:
            label = names.get(item.get("category_id"), f"category {item.get('category_id')}")
            try:
                if item.get("iscrowd"):
                    broken.add(label)  # a crowd is nobody's outline, and cannot be counted
                else:
                    regions.append(_coco_object(item, label, size, said))
            except (VesaliusError, TypeError, ValueError, KeyError, IndexError) as error:
                words = error.problem if isinstance(error, VesaliusError) else str(error)
                case = f"annotation {item.get('id')}"
                found.problems.append(VesaliusError(words, file=said, case=case, code="box"))
                broken.add(label)
        labels = frozenset(region.label for region in regions)
        name = path.relative_to(root).as_posix()
        stated = size if all(size) else None
        found.images.append(Labelled(path, name, labels, tuple(regions), True, frozenset(broken), size=stated))
    return found


def _coco_data(file: Path) -> dict[str, list[dict]]:
    try:
        data = json.loads(file.read_text("utf-8"))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise VesaliusError(problem, file=file, remedy="correct `annotations`", code="unreadable") from None
    except ValueError as error:
        raise VesaliusError(f"is no JSON ({error})", file=file, code="unreadable") from None
    lists = ("images", "annotations", "categories")
    absent = [key for key in lists if not isinstance(data, dict) or not isinstance(data.get(key), list)]
    if absent:
        raise VesaliusError(f"is not COCO's: no list `{'`, `'.join(absent)}`", file=file, code="columns")
    return data


def _coco_object(item: dict, label: str, size: tuple[int, int], file: str) -> Region:
    box = None
    if item.get("bbox"):
        left, upper, width, height = (float(x) for x in item["bbox"])
        box = checked_box((left, upper, left + width, upper + height), file)
    mask = _coco_mask(item.get("segmentation"), size)
    if mask is None and box is None:
        raise VesaliusError("has neither box nor outline", file=file, code="box")
    if box is None and isinstance(mask, Polygons):
        box = _around(mask)
    return Region(label, box, mask)


def _coco_mask(given: Any, size: tuple[int, int]) -> Polygons | RunLengths | None:
    if isinstance(given, dict):
        height, width = given.get("size") or size[::-1]
        counts = given["counts"]
        if isinstance(counts, str):
            return RunLengths.unpacked(counts, (width, height))
        return RunLengths(tuple(int(n) for n in counts), (width, height))
    outlines = tuple(tuple(float(x) for x in points) for points in given or () if len(points) >= 6)
    return Polygons(outlines, size) if outlines and all(size) else None


def _around(mask: Polygons) -> Box:
    across = [x for points in mask.points for x in points[0::2]]
    down = [y for points in mask.points for y in points[1::2]]
    return min(across), min(down), max(across), max(down)
