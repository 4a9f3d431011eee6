"""The phantom against anatomy and physics: sizes, sides, neighbours, HU, scanners."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, label

from vesalius.media.volume import read_labels, read_volume
from vesalius.phantom.abdomen import LABELS, scan
from vesalius.phantom.contrast import PHASES, TISSUES, tissue_hu
from vesalius.phantom.patient import Patient
from vesalius.phantom.scanner import Scanner

SCANNER = Scanner((4.0, 4.0, 5.0), (96, 74, 58), -135.0, kernel=0.0, noise=6.0, kvp=120)
MAN = Patient("M", 45, 25.0, 1.0, (), "portal", 120, 1.0, 0.0, "water", 0.0, 7)

# Millilitres between which a healthy adult's organs lie (aorta and cava: the part in an abdominal CT).
ADULT = {
    "aorta": (40, 150), "gall_bladder": (15, 80), "kidney_left": (90, 230), "kidney_right": (90, 230),
    "liver": (850, 2300), "pancreas": (40, 140), "postcava": (35, 130), "spleen": (80, 330), "stomach": (80, 600),
}  # fmt: skip


@pytest.fixture(scope="module")
def people():
    """Six adults without findings, wholly in the field of view."""
    build = [("F", 22.0), ("M", 24.0), ("F", 27.0), ("M", 29.0), ("F", 24.5), ("M", 26.0)]
    patients = [replace(MAN, sex=sex, bmi=bmi, seed=100 + i, age=30 + 8 * i) for i, (sex, bmi) in enumerate(build)]
    return [scan(patient, SCANNER) for patient in patients]


def voxels(labels, name):
    return labels.data == LABELS[name]


def centre(labels, name):
    index = np.argwhere(voxels(labels, name)).mean(axis=0)
    return (labels.affine @ [*index, 1])[:3]


@pytest.mark.parametrize("name", LABELS)
def test_volumes_are_those_of_adults(people, name):
    low, high = ADULT[name]
    for _, labels in people:
        assert low < voxels(labels, name).sum() * np.prod(labels.spacing) / 1000 < high


def test_organs_lie_where_anatomy_puts_them(people):
    for _, labels in people:
        at = {name: centre(labels, name) for name in LABELS}
        assert at["liver"][0] > 20 and at["gall_bladder"][0] > 20 and at["kidney_right"][0] > 30  # RAS: right is +
        assert at["spleen"][0] < -50 and at["kidney_left"][0] < -30 and at["stomach"][0] < 0
        assert at["postcava"][0] > at["aorta"][0]
        assert at["stomach"][1] > at["kidney_left"][1] and at["pancreas"][1] > at["aorta"][1]
        assert at["spleen"][2] > at["kidney_left"][2] and at["liver"][2] > at["kidney_right"][2]


@pytest.mark.parametrize(
    ("a", "b"),
    [("liver", "kidney_right"), ("liver", "gall_bladder"), ("liver", "postcava"), ("spleen", "stomach"),
     ("pancreas", "stomach"), ("kidney_left", "pancreas")],
)  # fmt: skip
def test_neighbours_touch(people, a, b):
    touching = [(binary_dilation(voxels(labels, a)) & voxels(labels, b)).any() for _, labels in people]
    assert sum(touching) >= len(people) / 2


def test_each_structure_is_one_piece_mostly(people):
    for _, labels in people:
        for name in LABELS:
            pieces, _ = label(voxels(labels, name), np.ones((3, 3, 3)))
            sizes = np.bincount(pieces.ravel())[1:]
            assert sizes.max() > 0.9 * sizes.sum()


def test_same_arguments_give_the_same_voxels_and_another_seed_another_body():
    (image, labels), (again, labels_again) = scan(MAN, SCANNER), scan(MAN, SCANNER)
    assert np.array_equal(image.data, again.data) and np.array_equal(labels.data, labels_again.data)
    other, _ = scan(replace(MAN, seed=8), SCANNER)
    assert not np.array_equal(image.data, other.data)


@pytest.mark.parametrize("phase", PHASES)
def test_contrast_phases_look_like_themselves(phase):
    image, labels = scan(replace(MAN, phase=phase), SCANNER)
    hu = {name: float(np.median(image.data[voxels(labels, name)])) for name in LABELS}
    aorta = {"native": (25, 55), "arterial": (240, 360), "portal": (120, 200), "delayed": (80, 140)}[phase]
    liver = {"native": (40, 70), "arterial": (55, 90), "portal": (90, 130), "delayed": (75, 110)}[phase]
    assert aorta[0] < hu["aorta"] < aorta[1]
    assert liver[0] < hu["liver"] < liver[1]
    assert hu["gall_bladder"] < 35


def test_iodine_shines_more_at_low_voltage_and_plain_tissue_does_not_change():
    assert tissue_hu("artery", "arterial", 80, 1) > tissue_hu("artery", "arterial", 120, 1) + 100
    for tissue in TISSUES:
        assert tissue_hu(tissue, "native", 80) == tissue_hu(tissue, "native", 140)


def test_what_was_taken_out_is_not_there():
    _, labels = scan(replace(MAN, findings=("cholecystectomy", "nephrectomy_left")), SCANNER)
    assert not voxels(labels, "gall_bladder").any() and not voxels(labels, "kidney_left").any()
    assert voxels(labels, "kidney_right").any()


def test_steatosis_darkens_the_liver():
    image, labels = scan(replace(MAN, phase="native", findings=("steatosis",)), SCANNER)
    plain, plain_labels = scan(replace(MAN, phase="native"), SCANNER)
    fatty = np.median(image.data[voxels(labels, "liver")])
    assert fatty < np.median(plain.data[voxels(plain_labels, "liver")]) - 8


def test_noise_follows_dose_and_kernel():
    def within(scanner):
        image, labels = scan(MAN, scanner)
        return image.data.astype(float), binary_erosion(voxels(labels, "liver"), iterations=3)

    def noise(scanner):
        image, liver = within(scanner)
        return image[liver].std()

    def grain(scanner):  # difference of neighbours: what a sharp kernel lifts
        image, liver = within(scanner)
        return np.diff(image, axis=0)[liver[1:] & liver[:-1]].std()

    assert noise(replace(SCANNER, noise=24.0)) > 1.5 * noise(SCANNER)
    assert grain(replace(SCANNER, noise=20.0, kernel=0.9)) > 1.2 * grain(replace(SCANNER, noise=20.0, kernel=-0.6))


def test_body_is_layered_fat_under_skin_bone_behind_gas_in_lungs(people):
    image, labels = people[1]
    hu = image.data
    assert (hu < -700).mean() > 0.2  # air and lungs
    fat = ((hu > -130) & (hu < -70)).mean()
    assert 0.03 < fat < 0.4
    assert 0.005 < (hu > 250).mean() < 0.1
    spine = np.argwhere(hu > 250).mean(axis=0)
    assert (image.affine @ [*spine, 1])[1] < centre(labels, "liver")[1]


def test_native_scans_measure_what_a_real_native_ct_measures(shared_data):
    folder = shared_data / "volumes" / "totalsegmentator_ct"
    if not folder.is_dir():
        pytest.skip("the real CT is not beside this checkout")
    real, marks = read_volume(folder / "image.nii.gz"), read_labels(folder / "model_total_fast_force_split.nii.gz")
    ids = {"spleen": 1, "liver": 5, "aorta": 52, "gall_bladder": 4}  # TotalSegmentator v2
    image, labels = scan(replace(MAN, phase="native"), replace(SCANNER, noise=12.0))
    for name, number in ids.items():
        theirs, ours = real.data[marks.data == number], image.data[voxels(labels, name)]
        assert abs(np.median(theirs) - np.median(ours)) < 20, name


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "LAS"])
def test_files_say_where_right_is_in_any_orientation(tmp_path, orientation):
    from vesalius.media.volume import write_volume

    _, labels = scan(MAN, replace(SCANNER, orientation=orientation))
    assert labels.orientation == orientation
    write_volume(tmp_path / "labels.nii.gz", labels)
    found = nibabel.load(tmp_path / "labels.nii.gz")  # an independent reader
    assert "".join(nibabel.aff2axcodes(found.affine)) == orientation
    index = np.argwhere(np.asarray(found.dataobj) == LABELS["liver"]).mean(axis=0)
    assert (found.affine @ [*index, 1])[0] > 20
