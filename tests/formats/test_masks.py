"""Folders of masks in people's layouts, read into named structures; hostile files among them."""

import json
import unicodedata

import nibabel as nib
import numpy as np
import pytest

from vesalius.errors import VesaliusError
from vesalius.formats.labels import label_map
from vesalius.formats.masks import find_cases, find_images, read_mask, voxel_counts
from vesalius.media.volume import Volume, write_volume

AFFINE = np.diag([0.8, 0.8, 3, 1.0])
SHAPE = (12, 10, 6)


def box(*ranges, value=1, dtype=np.uint8):
    data = np.zeros(SHAPE, dtype)
    data[tuple(slice(*r) for r in ranges)] = value
    return data


LIVER, SPLEEN = box((1, 5), (1, 5), (1, 5)), box((6, 9), (2, 8), (0, 6))
BOTH = LIVER + 2 * SPLEEN


def save(path, data, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nrrd", ".mha")):
        write_volume(path, Volume(data, affine, None))
    else:
        nib.save(nib.Nifti1Image(data, affine, dtype=data.dtype), path)


def test_flat_folder_of_any_format(tmp_path):
    for name in ("b.nii", "a.nii.gz", "c.nrrd", "d.mha", "e.seg.nrrd", "F.NII.GZ"):
        save(tmp_path / name, BOTH)
    for name in (".hidden.nii.gz", "~lock.nii.gz", "notes.txt", "dataset.csv"):
        (tmp_path / name).write_bytes(b"x")
    cases = find_cases(tmp_path)
    assert list(cases) == ["F", "a", "b", "c", "d", "e"]
    for entry in cases.values():
        mask = read_mask(entry)
        np.testing.assert_array_equal(mask.binary("label_2"), SPLEEN)
        assert not mask.named and mask.undeclared == {} and mask.spacing == pytest.approx((0.8, 0.8, 3))


def test_nnunet_predictions_take_names_from_dataset_json(tmp_path):
    save(tmp_path / "case_1.nii.gz", BOTH)
    labels = {"background": 0, "liver": 1, "both": [1, 2], "absent": 7}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    for name in ("plans.json", "predict_from_raw_data_args.json", "postprocessing.pkl", "case_1.npz", "case_1.pkl"):
        (tmp_path / name).write_bytes(b"{}")
    cases = find_cases(tmp_path)
    assert list(cases) == ["case_1"]
    mask = read_mask(cases["case_1"])
    assert list(mask.targets) == ["liver", "both", "absent"] and mask.named
    np.testing.assert_array_equal(mask.binary("both"), BOTH > 0)
    assert not mask.binary("absent").any()
    assert len(mask.layers) == 1


def test_undeclared_labels_are_counted(tmp_path):
    save(tmp_path / "a.nii.gz", BOTH)
    mask = read_mask(tmp_path / "a.nii.gz", label_map({"liver": 1}))
    assert list(mask.targets) == ["liver"] and mask.undeclared == {2: int(SPLEEN.sum())}


def test_a_given_map_goes_before_the_files_table_and_that_before_a_map_beside_it(tmp_path, shared_data):
    source = shared_data / "volumes" / "totalsegmentator_ct_sm" / "model_total_1.5mm.nii.gz"
    (tmp_path / "a.nii.gz").write_bytes(source.read_bytes())
    (tmp_path / "labels.yaml").write_text("1: something")
    mask = read_mask(tmp_path / "a.nii.gz")
    assert len(mask.targets) == 117 and mask.targets["liver"] == (0, (5,))
    assert list(read_mask(tmp_path / "a.nii.gz", label_map({"milz": 1})).targets) == ["milz"]


@pytest.mark.parametrize("inner", ["", "segmentations"])
def test_one_file_an_organ(tmp_path, inner):
    for case in ("s0001", "s0002"):
        save(tmp_path / case / inner / "liver.nii.gz", LIVER)
        save(tmp_path / case / inner / "spleen.nii.gz", SPLEEN * np.uint8(255))
        save(tmp_path / case / inner / "pancreas.nii.gz", np.zeros(SHAPE, np.uint8))
        save(tmp_path / case / "ct.nii.gz", BOTH.astype(np.int16))
    cases = find_cases(tmp_path)
    assert list(cases) == ["s0001", "s0002"]
    mask = read_mask(cases["s0001"])
    assert list(mask.targets) == ["liver", "pancreas", "spleen"] and len(mask.layers) == 1
    np.testing.assert_array_equal(mask.binary("liver"), LIVER)
    np.testing.assert_array_equal(mask.binary("spleen"), SPLEEN)
    assert not mask.binary("pancreas").any()
    assert find_images(tmp_path) == {case: tmp_path / case / "ct.nii.gz" for case in cases}


def test_overlapping_organs_lose_nothing(tmp_path):
    organs = {
        "liver": LIVER,
        "lesion": box((2, 4), (2, 4), (2, 4)),
        "vessel": box((3, 8), (3, 4), (3, 4)),
        "spleen": SPLEEN,
    }
    for name, data in organs.items():
        save(tmp_path / "a" / f"{name}.nii.gz", data)
    mask = read_mask(find_cases(tmp_path)["a"])
    assert len(mask.layers) == 3
    for name, data in organs.items():
        np.testing.assert_array_equal(mask.binary(name), data)
    assert mask.undeclared == {}


def test_three_hundred_organs(tmp_path):
    for i in range(300):
        data = np.zeros(SHAPE, np.uint8)
        data[i // 60, i // 6 % 10, i % 6] = 1
        save(tmp_path / "a" / f"organ {i:03d}.nii", data)
    mask = read_mask(find_cases(tmp_path)["a"])
    assert len(mask.targets) == 300 and len(mask.layers) == 1
    assert all(mask.binary(name).sum() == 1 for name in mask.targets)


@pytest.mark.parametrize("name", ["segmentation.nii.gz", "a_pred.nii.gz", "combined_labels.nii.gz", "strange.nii.gz"])
def test_the_only_file_of_a_cases_folder_is_its_mask(tmp_path, name):
    save(tmp_path / "a" / name, BOTH)
    mask = read_mask(find_cases(tmp_path)["a"])
    assert list(mask.targets) == ["label_1", "label_2"]


def test_the_only_organ_of_a_cases_folder_keeps_its_name(tmp_path):
    save(tmp_path / "a" / "liver.nii.gz", LIVER)
    assert list(read_mask(find_cases(tmp_path)["a"]).targets) == ["liver"]


def test_combined_labels_beside_organs_are_passed_over(tmp_path):
    for name, data in (("liver", LIVER), ("spleen", SPLEEN), ("combined_labels", BOTH)):
        save(tmp_path / "a" / f"{name}.nii.gz", data)
    assert list(read_mask(find_cases(tmp_path)["a"]).targets) == ["liver", "spleen"]


def test_organs_on_different_grids_name_the_odd_one(tmp_path):
    save(tmp_path / "a" / "liver.nii.gz", LIVER)
    shifted = AFFINE.copy()
    shifted[2, 3] = 3
    save(tmp_path / "a" / "spleen.nii.gz", SPLEEN, shifted)
    with pytest.raises(VesaliusError, match=r"spleen\.nii\.gz: case a: another grid.*by \(0, 0, 3\) mm") as error:
        read_mask(find_cases(tmp_path)["a"])
    assert error.value.code == "geometry"


def test_a_broken_organ_is_named_and_so_is_one_with_several_labels(tmp_path):
    save(tmp_path / "a" / "liver.nii.gz", LIVER)
    (tmp_path / "a" / "spleen.nii.gz").write_bytes(b"")
    with pytest.raises(VesaliusError, match=r"spleen\.nii\.gz.*empty"):
        read_mask(find_cases(tmp_path)["a"])
    save(tmp_path / "a" / "spleen.nii.gz", BOTH)
    with pytest.raises(VesaliusError, match=r"spleen\.nii\.gz.*2 labels \(1, 2\) in a file for one organ"):
        read_mask(find_cases(tmp_path)["a"])


def test_broken_files_are_cases_too(tmp_path):
    (tmp_path / "empty.nii.gz").write_bytes(b"")
    (tmp_path / "text.nrrd").write_text("hello")
    save(tmp_path / "good.nii.gz", BOTH)
    cases = find_cases(tmp_path)
    assert list(cases) == ["empty", "good", "text"]
    for case in ("empty", "text"):
        with pytest.raises(VesaliusError) as error:
            read_mask(cases[case])
        assert error.value.code == "unreadable"


def test_a_link_that_leads_nowhere_is_a_case(tmp_path):
    (tmp_path / "gone.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    save(tmp_path / "organs" / "liver.nii.gz", LIVER)
    (tmp_path / "organs" / "spleen.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    cases = find_cases(tmp_path)
    for case, file in (("gone", "gone"), ("organs", "spleen")):
        with pytest.raises(VesaliusError, match=rf"{file}\.nii\.gz: there is no such file"):
            read_mask(cases[case])


def test_two_files_for_one_case_name_both(tmp_path):
    save(tmp_path / "a.nii.gz", BOTH)
    save(tmp_path / "a.nrrd", BOTH)
    save(tmp_path / "b.nii.gz", BOTH)
    cases = find_cases(tmp_path)
    assert list(cases) == ["a", "b"]
    with pytest.raises(VesaliusError, match=r"case a: 2 masks for one case: a\.nii\.gz and a\.nrrd") as error:
        read_mask(cases["a"])
    assert error.value.code == "duplicate"
    assert read_mask(cases["b"]).targets


def test_names_with_spaces_and_unicode_are_compared_composed(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Müller Fall 1")
    save(tmp_path / f"{decomposed}.nii.gz", BOTH)
    cases = find_cases(tmp_path)
    assert list(cases) == [unicodedata.normalize("NFC", "Müller Fall 1")]
    assert read_mask(cases["Müller Fall 1"]).shape == SHAPE


def test_folders_without_masks_say_what_was_looked_for(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(VesaliusError) as error:
            find_cases(folder)
        assert error.value.code == "no_cases" and error.value.remedy
        with pytest.raises(VesaliusError):
            find_images(folder)


def test_image_channels_are_stripped(tmp_path):
    for name in ("a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "c.nii.gz", "s_1234.nii.gz"):
        save(tmp_path / name, BOTH)
    assert {case: path.name for case, path in find_images(tmp_path).items()} == {
        "a": "a_0000.nii.gz", "b": "b_0000.nii.gz", "c": "c.nii.gz", "s_1234": "s_1234.nii.gz"
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_voxel_counts(dtype):
    data = np.asfortranarray(np.random.default_rng(0).integers(0, 200, (9, 8, 7)).astype(dtype))
    ids, counts = np.unique(data[data > 0], return_counts=True)
    assert voxel_counts(data) == dict(zip(ids.tolist(), counts.tolist(), strict=True))


def test_real_folders(shared_data):
    models = find_cases(shared_data / "volumes" / "brats_multimodel" / "TCGA-DU-7294")
    assert len(models) == 7
    mask = read_mask(models["fusion_mav"])
    assert sum(mask.counts[0].values()) == sum(int(mask.binary(name).sum()) for name in mask.targets)
