"""The server of `vesalius view`: who may ask, what the log gives, what is saved."""

import gzip
import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from desk import AFFINES, LEFT, RIGHT, Desk, balls
from typer.testing import CliRunner

from vesalius.cli import app as commands
from vesalius.errors import VesaliusError
from vesalius.media.dicom_objects import read_structures
from vesalius.media.volume import Volume, read_labels, read_volume, write_volume
from vesalius.models.promptable import Segmentation
from vesalius.serve.app import page_folder


def shown(desk) -> np.ndarray:
    """The mask as the page puts it together, in the volume's own order where that is RAS."""
    answer = desk.client.get("/api/mask")
    x, y, z, w, h, d = map(int, answer.headers["X-Box"].split(","))
    mask = np.zeros(desk.volume.shape, np.uint8)
    mask[x : x + w, y : y + h, z : z + d] = np.frombuffer(answer.content, np.uint8).reshape((w, h, d), order="F")
    return mask


def test_only_the_page_of_this_machine_may_ask(make_desk):
    client = make_desk().client
    assert client.get("/api/info").status_code == 200
    for headers, words in (
        ({"X-Token": "guess"}, "not this server's page"),
        ({"X-Token": ""}, "not this server's page"),
        ({"Host": "evil.example:8000"}, "this machine alone"),
        ({"Origin": "http://evil.example"}, "its own page alone"),
        ({"Origin": "http://127.0.0.1:9999"}, "its own page alone"),
        ({"Origin": "null"}, "its own page alone"),
    ):
        answer = client.post("/api/undo", headers=headers)
        assert answer.status_code == 403 and words in answer.json()["error"]
    fine = client.post("/api/undo", headers={"Host": "localhost:8888", "Origin": "http://localhost:8888"})  # a tunnel
    assert fine.status_code == 200 and "default-src 'self'" in fine.headers["content-security-policy"]


def test_a_click_gives_a_mask_undo_takes_it_redo_brings_it_back(make_desk):
    desk = make_desk()
    label = desk.act(do="add", object=0, name="left ball")["objects"][0]["label"]
    state = desk.click(label, LEFT)
    found = state["objects"][0]
    assert found["name"] == "left ball" and found["prompts"][0]["voxel"] == list(LEFT)
    mask = shown(desk)
    assert mask[LEFT] == 1 and found["voxels"] == np.count_nonzero(mask) > 1000
    assert found["ml"] == pytest.approx(found["voxels"] * 12 / 1000, abs=1e-3)
    assert desk.client.post("/api/undo").json()["objects"][0]["voxels"] == 0
    assert not shown(desk).any()
    assert desk.client.post("/api/redo").json() == state
    assert np.array_equal(shown(desk), mask)


def test_the_log_replays_to_the_same_mask_and_one_prompt_can_be_deleted(make_desk):
    desk = make_desk()
    desk.act(do="add", object=0)
    first = desk.click(1, LEFT)
    second = desk.click(1, (20, 20, 12), False)
    mask = desk.scene.labels.copy()
    assert second["objects"][0]["voxels"] != first["objects"][0]["voxels"] and not mask[20, 20, 12]
    again = make_desk()
    assert np.array_equal(again.scene.labels, mask)
    assert again.client.get("/api/info").json()["objects"] == second["objects"]
    less = again.act(do="remove", object=1, prompt=second["objects"][0]["prompts"][1]["number"])
    assert less["objects"][0]["voxels"] == first["objects"][0]["voxels"]
    assert json.loads((desk.out / "prompts.json").read_text())["entries"][-1] == {
        "do": "remove",
        "object": 1,
        "prompt": 2,
    }


def test_locked_voxels_stay_and_an_initial_mask_is_kept_outside_what_is_edited(make_desk):
    marks = np.zeros((48, 40, 24), np.uint8)
    marks[12:20, 14:26, 8:16], marks[0:4] = 3, 7
    desk = make_desk(initial=Volume(marks, AFFINES["RAS"], names={3: "cube", 7: "edge"}))
    state = desk.client.get("/api/info").json()
    assert [(o["label"], o["name"], o["voxels"]) for o in state["objects"]] == [(3, "cube", 768), (7, "edge", 3840)]
    new = desk.act(do="add", object=0)["objects"][-1]["label"]
    assert new == 8
    desk.click(new, LEFT)
    over = desk.scene.labels
    assert over[LEFT] == 8 and (over[0:3] == 7).all()
    desk.client.post("/api/undo")
    desk.act(do="lock", object=3)
    desk.click(new, LEFT)
    locked = desk.scene.labels
    assert (locked[marks == 3] == 3).all() and (locked == 8).any()
    assert "cube is locked" in desk.refused(do="prompt", object=3, at=desk.mm(LEFT))
    desk.act(do="lock", object=3, locked=False)
    edited = desk.act(do="prompt", object=7, at=desk.mm((8, 20, 12)))["objects"]
    assert edited[1]["voxels"] >= 3840 and (desk.scene.labels[0:3] == 7).all()


def test_what_is_seen_when_an_object_is_locked_is_what_is_kept(make_desk):
    desk = make_desk()
    desk.act(do="add", object=0)
    desk.act(do="add", object=0)
    desk.click(1, LEFT)
    desk.click(2, LEFT)  # lies over the first, wholly
    assert desk.act(do="lock", object=1)["objects"][0]["voxels"] == 0
    desk.act(do="lock", object=2)
    desk.act(do="add", object=0)
    before = desk.scene.labels.copy()
    desk.click(3, LEFT)
    assert np.array_equal(desk.scene.labels, before)
    assert np.array_equal(make_desk().scene.labels, before)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_saved_mask_lies_on_the_image_for_nibabel_and_simpleitk(make_desk, affine, suffix):
    desk = make_desk(affine, suffix)
    desk.act(do="add", object=0, name="Leber & Co")
    desk.click(1, LEFT)
    path = desk.client.post("/api/save", json={"form": "nifti"}).json()["path"]
    assert path == str(desk.out / "ct_mask.nii.gz")
    mask = nib.load(path)
    assert mask.shape == desk.volume.shape and mask.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(mask.dataobj), desk.scene.labels)
    np.testing.assert_allclose(mask.affine, desk.volume.affine, atol=1e-5)
    if suffix == ".nii.gz":
        image = nib.load(desk.image)
        assert np.array_equal(mask.affine, image.affine) and np.array_equal(mask.get_qform(), image.get_qform())
    image, seen = sitk.ReadImage(str(desk.image)), sitk.ReadImage(path)
    assert seen.GetSize() == image.GetSize()
    for what in ("GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(seen, what)(), getattr(image, what)(), atol=1e-4)
    assert sitk.GetArrayFromImage(seen).T[LEFT] == 1
    assert read_labels(path).names == {1: "Leber & Co"}
    assert json.loads((desk.out / "dataset.json").read_text())["labels"] == {"background": 0, "Leber & Co": 1}


def test_a_mask_keeps_both_forms_of_an_image_whose_qform_and_sform_differ(tmp_path):
    image = nib.Nifti1Image(balls(), AFFINES["RAS"])
    image.set_sform(AFFINES["RAS"], 2)
    image.set_qform(AFFINES["oblique"], 1)
    nib.save(image, tmp_path / "ct.nii")
    desk = Desk(tmp_path / "ct.nii", read_volume(tmp_path / "ct.nii"), tmp_path / "out")
    mask = nib.load(desk.client.post("/api/save", json={"form": "nifti"}).json()["path"])
    for form in ("get_sform", "get_qform"):
        mine, its = getattr(mask, form)(coded=True), getattr(nib.load(tmp_path / "ct.nii"), form)(coded=True)
        assert mine[1] == its[1] and np.array_equal(mine[0], its[0])


def test_labels_beyond_a_byte_are_written_wider_and_shown_by_their_place(make_desk):
    marks = np.zeros((48, 40, 24), np.uint16)
    marks[:4], marks[-4:] = 5, 1000
    desk = make_desk(initial=Volume(marks, AFFINES["RAS"]))
    assert set(np.unique(shown(desk))) == {0, 1, 2}
    path = desk.client.post("/api/save", json={"form": "nifti"}).json()["path"]
    assert np.array_equal(read_labels(path).data, marks) and nib.load(path).get_data_dtype() == np.uint16


def test_the_page_gets_the_volume_with_axes_of_the_patient(make_desk):
    desk = make_desk("anisotropic")
    image = nib.Nifti1Image.from_bytes(desk.client.get("/api/volume").content)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    expected = nib.as_closest_canonical(nib.load(desk.image))
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(expected.dataobj))
    np.testing.assert_allclose(image.affine, expected.affine)


@pytest.mark.parametrize("turned", [False, True])
def test_a_dicom_series_gives_a_seg_that_refers_to_its_slices(tmp_path, turned):
    import dicom_phantom as phantom

    data = balls((40, 36, 12)) + 1024
    sources = phantom.series(tmp_path / "series", data, phantom.OBLIQUE if turned else None)
    desk = Desk(tmp_path / "series", read_volume(tmp_path / "series"), tmp_path / "out")
    for name, voxel in (("liver", (14, 20, 11)), ("something", (34, 20, 11))):
        label = desk.act(do="add", object=0, name=name)["objects"][-1]["label"]
        desk.click(label, voxel)
    path = desk.client.post("/api/save", json={"form": "dicom-seg"}).json()["path"]
    seg = pydicom.dcmread(path)
    referred = {i.ReferencedSOPInstanceUID for s in seg.ReferencedSeriesSequence for i in s.ReferencedInstanceSequence}
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == sources[0].SeriesInstanceUID
    assert referred == {s.SOPInstanceUID for s in sources} and seg.PatientID == "A"
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["liver", "something"]
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    layers, _ = read_structures(tmp_path / "out" / "series_mask.dcm", desk.volume)
    for name, label in (("liver", 1), ("something", 2)):
        layer, (own,) = layers.targets[name]
        assert np.array_equal(layers.volumes[layer] == own, desk.scene.labels == label)


class Knowing:
    """A model with organs and experts that says what it was asked."""

    name, organs, experts = "knowing", ("liver", "spleen"), ("general", "liver_ct")

    def open(self, volume):
        self.volume, self.asked = volume, []
        return self

    def segment(self, prompts, *, organ=None, expert=None, start=None, probability=False):
        self.asked.append((len(prompts), organ, expert, start is not None))
        mask = np.zeros(self.volume.shape, bool)
        mask[: 2 + len(prompts)] = True
        return Segmentation(mask, 0.8, ("touches the window",), {expert or "general": 1.0})


def test_organs_and_experts_are_asked_for_and_what_the_model_says_is_handed_on(make_desk):
    seen = make_desk()
    desk = Desk(seen.image, seen.volume, seen.out.with_name("knowing"), model=Knowing())
    assert desk.client.get("/api/info").json()["model"]["organs"] == ["liver", "spleen"]
    desk.act(do="add", object=0)
    found = desk.act(do="ask", object=1, organ="liver")["objects"][0]
    assert found["voxels"] == 2 * 40 * 24 and found["confidence"] == 0.8 and found["notes"] == ["touches the window"]
    desk.click(1, LEFT)
    found = desk.act(do="ask", object=1, organ="liver", expert="liver_ct")["objects"][0]
    assert found["experts"] == {"liver_ct": 1.0} and found["voxels"] == 3 * 40 * 24
    asked = [(0, "liver", None, False), (1, "liver", None, False), (1, "liver", "liver_ct", False)]
    assert desk.scene.model.asked == asked
    desk.client.post("/api/undo")
    assert desk.scene.model.asked == asked  # the answer to the same question is kept
    assert "choose one of general, liver_ct" in desk.refused(do="ask", object=1, expert="surgeon")


def test_bad_requests_are_one_line_and_change_nothing(make_desk):
    desk = make_desk()
    desk.act(do="add", object=0)
    before = desk.client.get("/api/info").json()
    assert "outside" in desk.refused(do="prompt", object=1, at=[1e4, 0, 0])
    assert "no object 9" in desk.refused(do="prompt", object=9, at=desk.mm(LEFT))
    assert "nothing to go by" in desk.refused(do="prompt", object=1, at=desk.mm(LEFT), positive=False)
    assert "has no organ liver" in desk.refused(do="ask", object=1, organ="liver")
    assert "has no prompt 4" in desk.refused(do="remove", object=1, prompt=4)
    assert "object 1 already" in desk.refused(do="add", object=1)
    assert "a prompt of 4 numbers" in desk.refused(do="prompt", object=1, at=[1, 2, 3, 4])
    assert "at" in desk.refused(do="prompt", object=1, at=[1])
    assert desk.refused(do="fly", object=1)
    saved = desk.client.post("/api/save", json={"form": "dicom-seg"})
    assert saved.status_code == 422 and "open the series' folder" in saved.json()["error"]
    assert desk.client.get("/api/info").json() == before


def test_a_log_of_another_image_or_mask_is_refused(make_desk, tmp_path):
    desk = make_desk()
    desk.act(do="add", object=0)
    with pytest.raises(VesaliusError, match="another initial mask"):
        make_desk(initial=Volume(np.ones((48, 40, 24), np.uint8), AFFINES["RAS"]))
    other = Volume(balls()[::-1], AFFINES["RAS"], desk.image)
    with pytest.raises(VesaliusError, match="another image: other voxels"):
        Desk(desk.image, other, desk.out)
    with pytest.raises(VesaliusError, match="another image: shape"):
        Desk(desk.image, Volume(balls()[:40], AFFINES["RAS"], desk.image), desk.out)
    (desk.out / "prompts.json").write_text("{")
    with pytest.raises(VesaliusError, match="cannot be read as a log"):
        make_desk()


def test_the_command_says_what_is_wrong_before_it_serves(tmp_path, monkeypatch):
    write_volume(tmp_path / "ct.nii.gz", Volume(balls(), AFFINES["RAS"]))
    write_volume(tmp_path / "mask.nii.gz", Volume(np.ones((3, 3, 3), np.uint8), AFFINES["RAS"]))
    monkeypatch.setattr("vesalius.serve.app.page_folder", lambda: tmp_path)
    for arguments, words in (
        (["nothing.nii.gz"], "no such file"),
        (["ct.nii.gz", "--mask", "mask.nii.gz"], "another grid"),
        (["ct.nii.gz", "--model", "random:1"], "takes no clicks"),
    ):
        given = [str(tmp_path / a) if a.endswith(".gz") else a for a in arguments]
        result = CliRunner().invoke(commands, ["view", *given, "--out", str(tmp_path / "o")])
        assert isinstance(result.exception, VesaliusError) and words in str(result.exception)


def test_a_page_that_was_not_built_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("vesalius.serve.app.files", lambda _: tmp_path)
    with pytest.raises(VesaliusError, match="make setup"):
        try:
            page_folder()
        except VesaliusError as error:
            raise VesaliusError(str(error)) from None


def test_masks_travel_compressed(make_desk):
    desk = make_desk()
    desk.act(do="add", object=0)
    desk.click(1, RIGHT)
    answer = desk.client.get("/api/mask")
    assert answer.headers["content-encoding"] == "gzip" and len(answer.content) < desk.volume.data.size
    assert len(gzip.compress(answer.content)) < len(answer.content)
