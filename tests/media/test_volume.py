"""Volumes read from every format against nibabel and SimpleITK, and what broken files say."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_header, read_labels, read_volume, write_volume

RNG = np.random.default_rng(1)
AFFINE = np.array([[-0.7, 0.01, 0, 90.5], [0.005, 0.7, 0, -120], [0, 0, 5, 33.25], [0, 0, 0, 1]])


def nifti(path, data, affine=AFFINE):
    nib.save(nib.Nifti1Image(data, affine, dtype=data.dtype), path)
    return path


def refusal(path, read=read_labels):
    with pytest.raises(VesaliusError) as error:
        read(path)
    assert path.name in str(error.value) and "\n" not in str(error.value)
    return error.value


def test_every_real_volume_equals_nibabel(shared_data):
    files = sorted((shared_data / "volumes").rglob("*.nii.gz"))
    assert len(files) > 30
    for file in files:
        volume, image = read_volume(file), nib.load(file)
        np.testing.assert_array_equal(volume.data, np.asanyarray(image.dataobj), err_msg=str(file))
        np.testing.assert_array_equal(volume.affine, image.affine)
        assert volume.orientation == "".join(nib.aff2axcodes(image.affine))
        assert volume.spacing == pytest.approx(nib.affines.voxel_sizes(image.affine))
        header = read_header(file)
        assert (header.shape, header.dtype) == (image.shape, image.get_data_dtype())


def test_real_volumes_lie_where_simpleitk_puts_them(shared_data):
    for file in sorted((shared_data / "volumes").rglob("*.nii.gz"))[::5]:
        image, volume = sitk.ReadImage(str(file)), read_volume(file)
        last = [n - 1 for n in volume.shape]
        for index in ([0, 0, 0], last, [last[0], 0, last[2]]):
            lps = np.array(image.TransformIndexToPhysicalPoint(index))
            np.testing.assert_allclose((volume.affine @ [*index, 1])[:3] * (-1, -1, 1), lps, atol=1e-3)
        assert volume.data[tuple(last)] == image.GetPixel(*last)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", ">i4", "<i4", "<f4", ">f8", "<i8", "<u8"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_types_and_byte_orders(tmp_path, dtype, name, kind):
    data = RNG.integers(0, 100, (7, 5, 3)).astype(dtype)
    header = kind.header_class(endianness=dtype[0] if dtype[0] in "<>" else "<")
    header.set_data_dtype(np.dtype(dtype))
    image = kind(data, AFFINE, header)
    image.to_filename(tmp_path / name)
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.data, data)
    assert volume.data.dtype == np.dtype(dtype).newbyteorder("=") and volume.data.flags.f_contiguous
    assert volume.data.flags.writeable
    np.testing.assert_array_equal(volume.affine, nib.load(tmp_path / name).affine)
    np.testing.assert_array_equal(read_labels(tmp_path / name).data, data)


def test_scaling_equals_nibabel_and_whole_scaled_labels_are_labels(tmp_path):
    data = RNG.integers(0, 50, (6, 5, 4)).astype(np.int16)
    file = nifti(tmp_path / "a.nii.gz", data)
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[112:120] = struct.pack("<ff", 2.0, 1.0)
    file.write_bytes(gzip.compress(bytes(content)))
    np.testing.assert_array_equal(read_volume(file).data, nib.load(file).get_fdata())
    np.testing.assert_array_equal(read_labels(file).data, data * 2 + 1)
    content[112:120] = struct.pack("<ff", 0.37, -3.0)
    file.write_bytes(gzip.compress(bytes(content)))
    np.testing.assert_array_equal(read_volume(file).data, nib.load(file).get_fdata())


def test_gzip_is_known_by_content_not_by_name_and_may_have_members(tmp_path):
    data = RNG.integers(0, 9, (30, 20, 10)).astype(np.uint8)
    plain = nifti(tmp_path / "a.nii", data).read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(plain))
    (tmp_path / "members.nii.gz").write_bytes(gzip.compress(plain[:1000]) + gzip.compress(plain[1000:]))
    for name in ("plain.nii.gz", "packed.nii", "members.nii.gz"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).data, data)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float32])
def test_written_volumes_come_back(tmp_path, suffix, dtype):
    data = np.asfortranarray(RNG.integers(0, 2 if dtype is bool else 300, (9, 8, 7))).astype(dtype)
    rotation = np.eye(4)
    rotation[:3, :3] = [[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]]
    affine = rotation @ np.diag([-0.7, 0.8, 5, 1])
    affine[:3, 3] = 3, -70.1, 12
    path = tmp_path / "new folder" / f"Fall ü 1{suffix}"
    write_volume(path, Volume(data, affine))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    if suffix.startswith(".nii"):
        image = nib.load(path)
        assert image.header["sform_code"] == image.header["qform_code"] == 1
        np.testing.assert_allclose(image.get_qform(), affine, atol=1e-4)
        np.testing.assert_array_equal(np.asanyarray(image.dataobj), data)


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_itk_formats_are_turned_into_ras(tmp_path, suffix):
    data = RNG.integers(0, 9, (4, 5, 6)).astype(np.int16)  # z, y, x
    image = sitk.GetImageFromArray(data)
    image.SetSpacing((0.7, 0.8, 5))
    image.SetOrigin((10, 20, -30))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    sitk.WriteImage(image, str(tmp_path / "same.nii.gz"))
    volume, same = read_volume(tmp_path / f"a{suffix}"), nib.load(tmp_path / "same.nii.gz")
    np.testing.assert_array_equal(volume.data, data.T)
    np.testing.assert_allclose(volume.affine, same.affine, atol=1e-5)
    header = read_header(tmp_path / f"a{suffix}")
    assert header.shape == (6, 5, 4) and header.dtype == np.int16


def test_label_table_of_totalsegmentator_is_read(shared_data):
    volume = read_labels(shared_data / "volumes" / "totalsegmentator_ct_sm" / "model_total_1.5mm.nii.gz")
    assert len(volume.names) == 117
    assert (volume.names[1], volume.names[5], volume.names[117]) == ("spleen", "liver", "costal_cartilages")


def test_segment_names_of_slicer_are_read(tmp_path):
    image = sitk.GetImageFromArray(np.array([[[0, 1], [3, 0]]], np.uint8))
    for number, (name, label) in enumerate({"liver": 1, "Milz": 3}.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(label))
    image.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    assert read_labels(tmp_path / "a.seg.nrrd").names == {1: "liver", 3: "Milz"}
    assert read_header(tmp_path / "a.seg.nrrd").names == {1: "liver", 3: "Milz"}


def test_several_numbers_a_voxel_are_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 2), np.uint8), isVector=True), str(tmp_path / "a.nrrd"))
    assert "2 numbers a voxel" in str(refusal(tmp_path / "a.nrrd"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [("u1", "u1"), ("i1", "u1"), ("i2", "u2"), ("u2", "u2"), ("u4", "u4"), ("i4", "u1"), ("f4", "u1"), ("f8", "u1")],
)
def test_labels_are_unsigned_and_small(tmp_path, given, kept):
    data = RNG.integers(0, 100, (5, 5, 5)).astype(given)
    labels = read_labels(nifti(tmp_path / "a.nii", data)).data
    assert labels.dtype == np.dtype(kept)
    np.testing.assert_array_equal(labels, data)


@pytest.mark.parametrize("dtype", ["i4", "u4", "f4", "f8", "i8"])
def test_labels_above_65535_are_kept(tmp_path, dtype):
    data = np.zeros((4, 4, 4), dtype)
    data[1, 2, 3], data[0, 0, 1] = 70_001, 65_536
    labels = read_labels(nifti(tmp_path / "a.nii.gz", data)).data
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, data.astype(int))


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (0.9999, "fractional", "1 of 60 voxels are not a whole number, the first 0.9999"),
        (np.nan, "nan", "1 of 60 voxels are not a number, the first nan"),
        (np.inf, "nan", "first inf"),
        (-np.inf, "nan", "first -inf"),
        (1e30, "large", "1 of 60 voxels are too large for labels, the first 1e+30"),
        (-1, "negative", "1 of 60 voxels are negative, the first -1"),
    ],
)
def test_what_is_no_label_is_refused_and_its_place_named(tmp_path, value, code, words):
    data = np.ones((5, 4, 3), np.float32)
    data[4, 2, 1] = value
    error = refusal(nifti(tmp_path / "Fall ü 1.nii.gz", data))
    assert error.code == code and words in str(error) and "(4, 2, 1)" in str(error)


def test_negative_integers_are_refused(tmp_path):
    data = np.zeros((5, 4, 3), np.int16)
    data[0, 1, 2] = -5
    assert refusal(nifti(tmp_path / "a.nii", data)).code == "negative"


def broken_files():
    packed = gzip.compress(_plain())
    return {
        "empty.nii.gz": (b"", "empty (0 bytes)"),
        "empty.nii": (b"", "empty (0 bytes)"),
        "truncated.nii.gz": (packed[: len(packed) // 2], "ends early (truncated)"),
        "no_trailer.nii.gz": (packed[:-6], "ends early (truncated)"),
        "flipped.nii.gz": (_flip(packed, len(packed) // 2), "damaged"),
        "checksum.nii.gz": (_flip(packed, len(packed) - 7), "damaged"),
        "magic_only.nii.gz": (b"\x1f\x8b", "ends early (truncated)"),
        "text.nii.gz": (b"<html>404 not found</html>", "not a NIfTI file"),
        "text.nii": (b"x" * 5000, "not a NIfTI file"),
        "text_packed.nii.gz": (gzip.compress(b"hello"), "not a NIfTI file"),
        "header_only.nii": (_plain()[:352], "the voxels end early: 0 of"),
        "half.nii": (_plain()[:5000], "the voxels end early: 4,648 of"),
        "half_packed.nii.gz": (gzip.compress(_plain()[:5000]), "the voxels end early"),
        "cut_header.nii": (_plain()[:348], "the voxels end early: 0 of"),
        "huge.nii.gz": (gzip.compress(_plain(dim=(3, 32767, 32767, 32767))), "announces"),
        "pair.nii": (_plain()[:344] + b"ni1\0" + _plain()[348:], ".hdr/.img pair"),
    }


def _plain(dim=None):
    image = nib.Nifti1Image(RNG.integers(0, 200, (20, 20, 30)).astype(np.uint8), AFFINE)
    content = bytearray(image.to_bytes())
    if dim:
        content[40 : 40 + 2 * len(dim)] = struct.pack(f"<{len(dim)}h", *dim)
    return bytes(content)


def _flip(content, at):
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_say_what_is_wrong(tmp_path, name):
    content, words = broken_files()[name]
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    assert error.code == "unreadable" and words in str(error)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd", "a.nhdr"])
@pytest.mark.parametrize("content", [b"", b"hello", b"NRRD0004\ntype: uint8\n", b"ObjectType = Image\nNDims = 3\n"])
def test_broken_itk_files_are_unreadable(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name).code == "unreadable"


def test_truncated_nrrd_is_unreadable(tmp_path):
    write_volume(tmp_path / "a.nrrd", Volume(RNG.integers(0, 200, (20, 20, 20)).astype(np.uint8), AFFINE))
    content = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(content[: len(content) // 2])
    assert refusal(tmp_path / "a.nrrd").code == "unreadable"


def test_missing_files_and_unknown_suffixes(tmp_path):
    assert refusal(tmp_path / "a.nii.gz").code == "unreadable"
    (tmp_path / "a.png").write_bytes(b"x")
    assert "no reader" in str(refusal(tmp_path / "a.png"))


def test_four_dimensions_are_refused_but_a_trailing_one_is_dropped(tmp_path):
    data = RNG.integers(0, 9, (4, 5, 6, 1)).astype(np.uint8)
    assert read_labels(nifti(tmp_path / "one.nii", data)).shape == (4, 5, 6)
    error = refusal(nifti(tmp_path / "four.nii", np.zeros((4, 5, 6, 2), np.uint8)))
    assert error.code == "unreadable" and "shape (4, 5, 6, 2)" in str(error) and error.remedy
    assert read_labels(nifti(tmp_path / "flat.nii", data[:, :, :1, 0])).shape == (4, 5, 1)
    assert read_labels(nifti(tmp_path / "thin.nii", data[:1, :, :1, 0])).shape == (1, 5, 1)


def test_colour_is_refused(tmp_path):
    rgb = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "colour" in str(refusal(nifti(tmp_path / "rgb.nii", rgb)))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_spacing_is_never_assumed(tmp_path, value):
    file = nifti(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8))
    content = bytearray(file.read_bytes())
    content[252:256] = struct.pack("<hh", 1, 0)  # qform, no sform
    content[88:92] = struct.pack("<f", value)  # pixdim[3]
    file.write_bytes(content)
    error = refusal(file)
    assert error.code == "geometry" and "spacing" in str(error)


def test_other_units_are_not_taken_for_millimetres(tmp_path):
    file = nifti(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8))
    content = bytearray(file.read_bytes())
    content[123] = 1
    file.write_bytes(content)
    error = refusal(file)
    assert error.code == "geometry" and "metres" in str(error)


def test_degenerate_and_sheared_affines_are_refused(tmp_path):
    flat = AFFINE.copy()
    flat[:, 2] = 0
    assert refusal(_sform(tmp_path / "flat.nii", flat)).code == "geometry"
    bad = AFFINE.copy()
    bad[0, 0] = np.nan
    assert refusal(_sform(tmp_path / "nan.nii", bad)).code == "geometry"
    sheared = AFFINE.copy()
    sheared[1, 2] = 1.2
    assert "right angles" in str(refusal(_sform(tmp_path / "sheared.nii", sheared)))


def _sform(path, affine):
    nifti(path, np.zeros((4, 4, 4), np.uint8))
    content = bytearray(path.read_bytes())
    content[252:256] = struct.pack("<hh", 0, 1)
    content[280:328] = struct.pack("<12f", *affine[:3].ravel())
    path.write_bytes(content)
    return path


def test_an_mha_without_spacing_is_refused(tmp_path):
    head = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(head.encode() + bytes(8))
    assert refusal(tmp_path / "a.mha").code == "geometry"
