"""A SAM-Med3D in front of a volume: where clicks lie, what masks keep, what is said."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_volume, write_volume
from vesalius.models.promptable import Prompt, open_promptable
from vesalius.models.sam3d.session import Sam3DSession
from vesalius.nets.sam3d import Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.crop import Preprocessing, Scan
from vesalius.nets.sam3d.decoder import MaskDecoder
from vesalius.nets.sam3d.experts import Expert, Joined, Mixture, fingerprint_of

SIZES = {
    "image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "window_size": 4, "global_attn_indexes": [0], "prompt_dim": 48, "mask_in_chans": 16, "decoder_heads": 8,
    "decoder_mlp_dim": 32, "num_multimask_outputs": 0, "iou_head_hidden_dim": 8,
}  # fmt: skip
HOW = Preprocessing(size=32, spacing=4.0, lattice=4)


@pytest.fixture(scope="module")
def model() -> Sam3DModel:
    torch.manual_seed(3)
    model = Sam3DModel(Sam3DConfig(**SIZES)).eval()
    for name, weights in model.named_parameters():  # as if trained: what it says depends on the clicks
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=3.0 if "mask_down" in name else 0.3 if "image" in name else 0.5)
    return model


def volume(shape=(60, 50, 40), spacing=(2.0, 2.0, 3.0)) -> Volume:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.normal(50, 60, (1, 1, 6, 5, 4)))
    data = torch.nn.functional.interpolate(coarse, shape, mode="trilinear")[0, 0].numpy()
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-60, -50, 10)
    return Volume(data.astype(np.int16), affine)


def at(volume: Volume, index, positive: bool = True) -> Prompt:
    return Prompt(tuple(float(x) for x in volume.affine[:3, :3] @ index + volume.affine[:3, 3]), positive)


def session(model: Sam3DModel, image: Volume, **more) -> Sam3DSession:
    return Sam3DSession(Mixture(model), Scan(image, HOW), **more)


def test_undo_and_replay_give_the_same_mask_as_a_new_session(model: Sam3DModel) -> None:
    image = volume()
    clicks = [at(image, (30, 25, 20)), at(image, (20, 20, 20), False), at(image, (34, 25, 21))]
    one = session(model, image)
    three, two, again = (one.segment(clicks[:n]).mask for n in (3, 2, 3))
    fresh = session(model, image).segment(clicks).mask
    assert (three == again).all() and (three == fresh).all() and (three != two).any()


def test_one_encoding_serves_all_clicks_and_experts(model: Sam3DModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = Sam3DModel.encode
    monkeypatch.setattr(Sam3DModel, "encode", lambda self, x: calls.append(1) or encode(self, x))
    experts = [Expert(name, MaskDecoder(model.config).eval(), (name,), fingerprint_of(model)) for name in "ab"]
    found, image = Sam3DSession(Mixture(model, experts), Scan(volume(), HOW)), volume()
    clicks = [at(image, (30, 25, 20)), at(image, (31, 25, 20)), at(image, (32, 25, 20), False)]
    for expert in (None, "a", "b", "general"):
        for n in (1, 2, 3):
            found.segment(clicks[:n], expert=expert)
    assert len(calls) == 1


def test_a_negative_click_removes_its_voxel_and_a_positive_one_has_it(model: Sam3DModel) -> None:
    image = volume()
    found = session(model, image)
    first = found.segment([at(image, (30, 25, 20))]).mask
    assert first[30, 25, 20]
    inside = tuple(int(i) for i in np.argwhere(first)[len(np.argwhere(first)) // 2])
    assert not found.segment([at(image, (30, 25, 20)), at(image, inside, False)]).mask[inside]


@pytest.mark.parametrize("index", [(-1, 5, 5), (60, 5, 5), (5, 5, 40.6)])
def test_a_click_outside_the_volume_is_one_clear_line(model: Sam3DModel, index) -> None:
    image = volume()
    with pytest.raises(VesaliusError, match=r"the prompt at \(.* mm lies outside: voxel \(.*\) of \(60, 50, 40\)"):
        session(model, image).segment([at(image, index)])


def test_nothing_to_go_by_and_only_negative_clicks_are_said(model: Sam3DModel) -> None:
    image = volume()
    with pytest.raises(VesaliusError, match="nothing to go by"):
        session(model, image).segment([])
    with pytest.raises(VesaliusError, match="only negative prompts"):
        session(model, image).segment([at(image, (30, 25, 20), False)])
    with pytest.raises(VesaliusError, match="liver is not segmented without a prompt"):
        session(model, image).segment([], organ="liver")


def test_a_box_keeps_the_mask_inside_and_a_wide_one_zooms_out(model: Sam3DModel) -> None:
    image = volume((120, 100, 60))
    low, high = at(image, (20, 20, 10)).at, at(image, (110, 90, 50)).at
    found = session(model, image).segment([Prompt((*low, *high))])
    assert any("zoomed out" in note for note in found.notes)
    assert found.mask.shape == image.shape


@pytest.fixture
def whole(model: Sam3DModel, monkeypatch: pytest.MonkeyPatch) -> Sam3DModel:
    """A model that answers every click with the whole window."""
    everything = Joined(torch.ones(1, 1, 16, 16, 16), torch.ones(1, 1))
    monkeypatch.setattr(Mixture, "decode", lambda *_: everything)
    return model


def test_the_session_says_where_its_window_cuts_a_mask(whole: Sam3DModel) -> None:
    image = volume((120, 100, 80))
    found = session(whole, image).segment([at(image, (60, 50, 40))])
    assert "is cut by the window of 128 mm (left, right, back, front, lower, upper)" in found.notes[0]


def test_a_window_that_cuts_the_mask_is_widened_until_it_does_not_where_that_is_asked_for(whole: Sam3DModel) -> None:
    image = volume((120, 100, 80))  # 240 mm along each axis but one: 128 · 1.5 is too narrow, 128 · 1.5² is not
    found = session(whole, image, widen=True).segment([at(image, (60, 50, 40))])
    assert found.notes == ("zoomed out 2.25 times, so that the mask fits into the window",) and found.mask.all()


def test_going_on_from_a_mask_depends_on_the_mask(model: Sam3DModel) -> None:
    image = volume()
    start = np.zeros(image.shape, bool)
    start[20:40, 15:35, 10:30] = True
    found = session(model, image)
    clicks = [at(image, (30, 25, 20))]
    assert (found.segment(clicks, start=start).mask != found.segment(clicks).mask).any()
    assert found.segment([], start=start).mask.shape == image.shape
    wide = volume((150, 50, 40))
    start = np.zeros(wide.shape, bool)
    start[[0, 149]] = True  # the window of 128 mm around the click reaches neither
    kept = session(model, wide).segment([at(wide, (75, 25, 20))], start=start).mask
    assert kept[[0, 149]].all() and not kept[[3, 146]].any()
    with pytest.raises(VesaliusError, match="a mask of shape"):
        found.segment(clicks, start=start[1:])


def test_a_probability_map_agrees_with_the_mask(model: Sam3DModel) -> None:
    image = volume()
    found = session(model, image).segment([at(image, (30, 25, 20))], probability=True)
    assert found.probability is not None and found.probability.dtype == np.uint8
    assert ((found.probability >= 128) != found.mask).mean() < 0.01


def test_organs_by_name_come_from_experts_that_were_trained_to_work_alone(model: Sam3DModel) -> None:
    expert = Expert("abdomen", model.mask_decoder, ("liver",), fingerprint_of(model), automatic=True)
    image = volume((100, 90, 60))
    found = Sam3DSession(Mixture(model, [expert]), Scan(image, HOW)).segment([], organ="liver")
    assert found.mask.shape == image.shape and found.experts == {"abdomen": 1.0}
    small = Sam3DSession(Mixture(model, [expert]), Scan(volume((20, 20, 20)), HOW)).segment([], organ="liver")
    assert small.mask.shape == (20, 20, 20)


def turned(image: sitk.Image, angle: float, spacing) -> sitk.Image:
    """An oblique, anisotropic copy of a real image."""
    turn = sitk.Euler3DTransform(image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()]))
    turn.SetRotation(angle, angle / 2, -angle)
    size = [int(n * s / t) for n, s, t in zip(image.GetSize(), image.GetSpacing(), spacing, strict=True)]
    direction = np.array(turn.GetMatrix()).reshape(3, 3) @ np.array(image.GetDirection()).reshape(3, 3)
    reference = sitk.Image(size, image.GetPixelID())
    reference.SetSpacing(spacing)
    reference.SetDirection(direction.ravel().tolist())
    reference.SetOrigin(turn.TransformPoint(image.GetOrigin()))
    return sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, -1000)


@pytest.mark.parametrize("what", ["ct", "ct_sm", "mr", "dicom", "oblique", "anisotropic"])
def test_masks_lie_on_real_images_grids_as_nibabel_and_simpleitk_read_them(
    what: str, model: Sam3DModel, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "volumes"
    source = {
        "ct_sm": folder / "totalsegmentator_ct_sm/image.nii.gz",
        "mr": folder / "totalsegmentator_mr_sm/image.nii.gz",
        "dicom": folder / "totalsegmentator_dicom/ct_series",
    }.get(what, folder / "totalsegmentator_ct/image.nii.gz")
    if what in ("oblique", "anisotropic"):
        image = sitk.ReadImage(str(source))
        image = turned(image, 0.35, (2.5, 2.5, 2.5) if what == "oblique" else (1.9, 3.1, 6.0))
        source = tmp_path / "image.nii.gz"
        sitk.WriteImage(image, str(source))
    image = read_volume(source)
    middle = tuple(n // 2 for n in image.shape)
    found = Sam3DSession(Mixture(model), Scan(image, HOW)).segment([at(image, middle)])
    file = tmp_path / "mask.nii.gz"
    write_volume(file, Volume(found.mask.astype(np.uint8), image.affine))
    mask = nib.load(file)
    assert mask.shape == image.shape and mask.get_data_dtype() == np.uint8
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
    seen = sitk.ReadImage(str(file))
    wanted = sitk.ReadImage(str(source)) if source.is_file() else None
    if wanted is not None:
        for what_of in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(seen, what_of)(), getattr(wanted, what_of)(), atol=1e-3)
    assert np.asarray(mask.dataobj)[middle] == 1


def test_a_url_opens_a_folder_a_public_file_and_says_what_is_wrong(model: Sam3DModel, tmp_path: Path) -> None:
    from vesalius.nets.sam3d.public import save_public

    model.save_pretrained(tmp_path / "out")
    HOW.save_pretrained(tmp_path / "out")
    save_public(model, tmp_path / "public.pth")
    for url in (str(tmp_path / "out"), f"sam3d:{tmp_path / 'public.pth'}", f"mine=sam3d:{tmp_path / 'out'}?zoom=2"):
        image = volume()
        assert open_promptable(url).open(image).segment([at(image, (30, 25, 20))]).mask.any()
    with pytest.raises(VesaliusError, match="has no expert liver"):
        open_promptable(f"sam3d:{tmp_path / 'out'}?expert=liver").open(volume())
    with pytest.raises(VesaliusError, match="there is no such model"):
        open_promptable(f"sam3d:{tmp_path / 'nothing'}")
    with pytest.raises(VesaliusError, match="takes no clicks"):
        open_promptable("random:1")


def test_as_a_model_it_answers_a_question_with_a_mask_file(model: Sam3DModel, tmp_path: Path) -> None:
    from vesalius.models.protocol import open_model
    from vesalius.records import Message, Part, Question

    model.save_pretrained(tmp_path / "out")
    HOW.save_pretrained(tmp_path / "out")
    image = volume()
    write_volume(tmp_path / "image.nii.gz", image)
    parts = (Part.of("volume", tmp_path / "image.nii.gz"), Part("points", points=[at(image, (30, 25, 20)).at]))
    opened = open_model(f"sam3d:{tmp_path / 'out'}")
    assert "SAM-Med3D" in opened.check()
    good, bad = opened.answer(
        [Question("a", (Message("user", parts),), type="mask"), Question("b", (Message("user", ()),), type="mask")]
    )
    assert good.status == "answered" and bad.status == "failed" and "0 volumes" in (bad.reason or "")
    mask = read_volume(good.message.parts[0].path)
    assert mask.shape == image.shape and mask.data[30, 25, 20] == 1
    opened.close()
