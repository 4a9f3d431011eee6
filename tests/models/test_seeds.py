"""`seeds:`: it finds organs from clicks, keeps its promises, and cares neither about axes nor about size."""

import time
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume
from vesalius.models.growing import nearer
from vesalius.models.promptable import Prompt, open_promptable
from vesalius.models.protocol import open_model, parse_url
from vesalius.phantom.abdomen import LABELS, scan
from vesalius.phantom.patient import Patient
from vesalius.phantom.scanner import Scanner

PATIENT = Patient("M", 50, 25.0, 1.0, (), "portal", 120, 1.0, 0.0, "water", 0.0, 0)


@pytest.fixture(scope="module")
def case():
    return scan(PATIENT, Scanner((3, 3, 5.0), (128, 128, 60), -130.0, 0.0, 12.0, kvp=120, orientation="LPS"))


@pytest.fixture(scope="module")
def ball():
    """A bright ball beside a second one, joined to it by a thin bridge, in noise; 2 x 2 x 3 mm."""
    x, y, z = np.meshgrid(*(np.arange(n) * s for n, s in zip((48, 40, 24), (2, 2, 3), strict=True)), indexing="ij")
    inside = (np.hypot(np.hypot(x - 30, y - 40), z - 36) < 18) | (np.hypot(np.hypot(x - 72, y - 40), z - 36) < 14)
    inside |= (np.hypot(y - 40, z - 36) < 3) & (x > 30) & (x < 72)
    data = np.where(inside, 100, 0) + np.random.default_rng(0).normal(0, 6, inside.shape)
    affine = np.array([[2, 0, 0, -40], [0, 2, 0, -30], [0, 0, 3, 10], [0, 0, 0, 1.0]])
    return Volume(data.astype(np.int16), affine)


def at(volume, voxel):
    return tuple(float(v) for v in volume.affine[:3, :3] @ voxel + volume.affine[:3, 3])


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def clicked(volume, truth, clicks):
    """A patient user: always at the deepest place of the larger error."""
    from scipy import ndimage

    session, prompts, mask, seconds = open_promptable("seeds:").open(volume), [], np.zeros(truth.shape, bool), []
    for _ in range(clicks):
        found = []
        for error, positive in ((truth & ~mask, True), (mask & ~truth, False)):
            depth = ndimage.distance_transform_edt(np.pad(error, 1), sampling=volume.spacing)[1:-1, 1:-1, 1:-1]
            found.append((depth.max(), np.unravel_index(depth.argmax(), depth.shape), positive))
        _, voxel, positive = max(found, key=lambda f: f[0])
        prompts.append(Prompt(at(volume, voxel), positive))
        begun = time.perf_counter()
        mask = session.segment(prompts).mask
        seconds.append(time.perf_counter() - begun)
    return mask, seconds


@pytest.mark.parametrize(("organ", "least"), [("liver", 0.92), ("kidney_right", 0.9), ("spleen", 0.88)])
def test_five_clicks_find_an_organ_of_the_phantom(case, organ, least):
    volume, labels = case
    mask, seconds = clicked(volume, labels.data == LABELS[organ], 5)
    assert dice(mask, labels.data == LABELS[organ]) > least
    assert sorted(seconds)[2] < 2  # the middle one, since the machine may be busy


def test_what_a_click_says_holds_and_the_same_clicks_give_the_same(ball):
    session = open_promptable("seeds:").open(ball)
    plus, minus = (15, 20, 12), (20, 20, 12)
    prompts = [Prompt(at(ball, plus)), Prompt(at(ball, minus), False), Prompt(at(ball, (2, 2, 2)))]
    mask = session.segment(prompts).mask
    assert mask.dtype == bool and mask.shape == ball.shape
    assert mask[plus] and mask[2, 2, 2] and not mask[minus]
    assert np.array_equal(mask, session.segment(prompts).mask)
    assert np.array_equal(mask, open_promptable("seeds:").open(ball).segment(prompts).mask)


def test_a_neck_is_cut_a_negative_click_takes_a_part_and_a_second_click_adds_one(ball):
    session = open_promptable("seeds:").open(ball)
    first, second = Prompt(at(ball, (15, 20, 12))), Prompt(at(ball, (36, 20, 12)))
    alone = session.segment([first]).mask
    assert alone[10, 20, 12] and not alone[36, 20, 12]
    both = session.segment([first, second]).mask
    assert both[36, 20, 12] and both[10, 20, 12]
    again = session.segment([first], start=both).mask
    assert np.array_equal(again, both)
    less = session.segment([Prompt(second.at, False)], start=both).mask
    assert not less[34:39, 18:23, 11:14].any() and less[10, 20, 12]


def test_a_box_bounds_and_a_start_mask_is_kept_elsewhere(ball):
    session = open_promptable("seeds:").open(ball)
    box = Prompt(at(ball, (6, 11, 6)) + at(ball, (15, 28, 17)))
    mask = session.segment([box]).mask
    assert mask[12, 20, 12] and not mask[16:].any()
    start = np.zeros(ball.shape, bool)
    start[40:46, 30:36, 18:22] = True
    mask = session.segment([Prompt(at(ball, (15, 20, 12)))], start=start).mask
    assert mask[start].all() and mask[15, 20, 12]


def test_all_48_orders_of_axes_give_the_same_mask_in_the_patient(ball):
    prompts = [Prompt(at(ball, v), p) for v, p in (((15, 20, 12), True), ((36, 20, 12), True), ((30, 20, 12), False))]
    expected = open_promptable("seeds:").open(ball).segment(prompts).mask
    image = nib.Nifti1Image(expected.astype(np.uint8), ball.affine)
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = np.array(list(zip(order, signs, strict=True)))
        turned = nib.Nifti1Image(ball.data, ball.affine).as_reoriented(turn)
        mask = open_promptable("seeds:").open(Volume(np.asarray(turned.dataobj), turned.affine)).segment(prompts).mask
        assert np.array_equal(mask, np.asarray(image.as_reoriented(turn).dataobj)), (order, signs)


def test_a_large_volume_costs_what_lies_around_the_click(ball):
    large = np.zeros((300, 300, 200), np.int16)
    large[100:148, 100:140, 100:124] = ball.data
    volume = Volume(large, np.diag([0.7, 0.7, 1.0, 1]))
    begun = time.perf_counter()
    mask = open_promptable("seeds:").open(volume).segment([Prompt(at(volume, (115, 120, 112)))]).mask
    assert time.perf_counter() - begun < 5
    assert mask[112, 120, 112] and not mask[:95].any()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((4, 4, 4), np.int16), "every voxel is 0"),
        (np.full((4, 4, 4), np.nan, np.float32), "NaN"),
        (np.arange(16).reshape(4, 4, 1), "shape"),
    ],
)
def test_volumes_in_which_nothing_can_grow_are_refused(data, words):
    with pytest.raises(VesaliusError, match=words):
        open_promptable("seeds:").open(Volume(data, np.eye(4)))


def test_wrong_prompts_are_one_clear_line(ball):
    session = open_promptable("seeds:").open(ball)
    for prompts, arguments, words in (
        ([Prompt((1e4, 0, 0))], {}, "outside"),
        ([Prompt(at(ball, (15, 20, 12)), False)], {}, "nothing to go by"),
        ([Prompt(at(ball, (15, 20, 12)))], {"organ": "liver"}, "knows no organ liver"),
        ([Prompt(at(ball, (15, 20, 12)))], {"start": np.zeros((2, 2, 2), bool)}, "start mask of shape"),
    ):
        with pytest.raises(VesaliusError, match=words):
            session.segment(prompts, **arguments)


def test_its_url_has_no_target_and_others_still_need_one():
    assert parse_url("seeds:").name == "seeds" and parse_url("mine=seeds:?spread=3").options == {"spread": "3"}
    assert open_promptable("seeds:?spread=3").options.spread == 3
    for url, words in (("hf:", "names no model"), ("seeds:?spread=-1", "option spread"), ("seeds:here", "no weights")):
        with pytest.raises(VesaliusError, match=words):
            open_promptable(url)
    with pytest.raises(VesaliusError, match="clicks, not questions"):
        open_model("seeds:")


def test_a_click_that_grows_nothing_is_answered_with_its_own_voxel():
    """Checkerboard noise far louder than any structure: no region holds together."""
    x, y, z = np.meshgrid(*[np.arange(24)] * 3, indexing="ij")
    data = np.where((x + y + z) % 2, 1000, -1000) + np.random.default_rng(1).normal(0, 400, x.shape)
    volume = Volume(data.astype(np.int16), np.diag([2.0, 2, 2, 1]))
    mask = open_promptable("seeds:").open(volume).segment([Prompt(at(volume, (12, 12, 12)))]).mask
    assert mask[12, 12, 12]


@pytest.mark.parametrize("seed", range(8))
def test_the_nearer_along_paths_is_that_of_two_separate_searches(seed):
    from skimage.graph import MCP_Geometric

    rng = np.random.default_rng(seed)
    shape, spacing = tuple(int(n) for n in rng.integers(1, 14, 3)), rng.uniform(0.5, 4, 3)
    cost = rng.uniform(1, 9, shape)
    cost[rng.random(shape) < 0.3] = np.inf
    chosen = rng.permutation(cost.size)[:5]
    own, foe = ([tuple(int(i) for i in np.unravel_index(c, shape)) for c in part] for part in (chosen[:2], chosen[2:]))
    for at in own + foe:
        cost[at] = 1.0
    away, near = (MCP_Geometric(cost, sampling=tuple(spacing)).find_costs(starts)[0] for starts in (own, foe))
    assert np.array_equal(nearer(cost, spacing, own, foe), near < away)


def test_a_draw_along_paths_is_not_nearer():
    cost = np.ones((5, 1, 1))
    assert not nearer(cost, np.ones(3), [(4, 0, 0)], [(0, 0, 0)])[2:].any()
    assert not nearer(cost, np.ones(3), [(0, 0, 0)], [(4, 0, 0)])[:3].any()
    assert not nearer(cost, np.ones(3), [(2, 0, 0)], [(2, 0, 0)]).any()
