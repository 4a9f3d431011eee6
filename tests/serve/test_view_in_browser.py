"""`vesalius view` in a real browser: clicks on the canvas give a mask, undo takes it away, save writes the file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from desk import AFFINES, LEFT, balls

from vesalius.media.volume import Volume, write_volume

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def address(tmp_path):
    """The command itself, on an LPS volume of two balls."""
    write_volume(tmp_path / "ct.nii.gz", Volume(balls(), AFFINES["LPS"]))
    command = [sys.executable, "-m", "vesalius", "view", tmp_path / "ct.nii.gz", "--no-open", "--out", tmp_path / "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as p:
        assert p.stdout
        line = p.stdout.readline()
        yield line.split(" is at ")[1].strip()
        p.terminate()


@pytest.fixture
def open_page(browser, address):
    """Opens the page; afterwards nothing was asked of the network and nothing went wrong."""
    complaints, contexts = [], []
    own = ("data:", "blob:", address.split("#")[0])

    def note(message):  # what the server refuses, Chromium notes by itself
        if message.type in ("error", "warning") and "422" not in message.text:
            complaints.append(message.text)

    def open_(width, height):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.on("console", note)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(own) else None)
        page.goto(address)
        page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def settled(page):
    page.wait_for_selector("body[data-waiting='0']")


def where(page, voxel):
    """A voxel's place on the page, by the axial slice filling the canvas as it is drawn (isotropic in plane)."""
    box = page.locator("#canvas").bounding_box()
    scale = min(box["width"] / 48, box["height"] / 40)
    # The file counts to the patient's left and back (LPS), as the axial slice is drawn: left to right, down.
    x = box["x"] + box["width"] / 2 + (voxel[0] + 0.5 - 24) * scale
    y = box["y"] + box["height"] / 2 + (voxel[1] + 0.5 - 20) * scale
    return x, y


def test_click_mask_undo_save(open_page, tmp_path):
    page = open_page(1280, 800)
    assert "48 × 40 × 24" in page.locator("#about").inner_text()
    page.keyboard.press("2")
    page.wait_for_timeout(300)  # a frame in which the slice is drawn alone
    page.mouse.click(*where(page, LEFT))
    settled(page)
    assert f"voxel {LEFT[0]}, {LEFT[1]}, {LEFT[2]}" in page.locator("#prompts").inner_text()
    assert "ml" in page.locator("#objects .size").inner_text()
    with_mask = page.locator("#canvas").screenshot()

    page.mouse.click(*where(page, (20, 20)), button="right")
    settled(page)
    assert page.locator("#prompts li").count() == 2
    page.locator("#prompts .icon").last.click()
    settled(page)
    assert page.locator("#prompts li").count() == 1
    page.keyboard.press("Control+z")  # the deletion
    page.keyboard.press("Control+z")  # the negative click
    settled(page)

    page.locator("#save-nifti").click()
    settled(page)
    assert "Saved" in page.locator("#saved").inner_text()
    mask = nib.load(tmp_path / "out" / "ct_mask.nii.gz")
    array = np.asarray(mask.dataobj)
    assert np.array_equal(mask.affine, AFFINES["LPS"]) and array[LEFT] == 1 and array[40, 5, 3] == 0

    page.keyboard.press("Control+z")
    settled(page)
    assert page.locator("#objects .size").inner_text() == "empty"
    assert page.locator("#canvas").screenshot() != with_mask
    page.locator("#redo").click()
    settled(page)
    assert page.locator("#objects .size").inner_text() != "empty"


def test_box_lock_error_and_a_reload_on_a_phone(open_page):
    page = open_page(390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("[data-tool=box]").click()
    page.mouse.move(*where(page, (4, 10)))
    page.mouse.down()
    page.mouse.move(*where(page, (24, 30)), steps=4)
    page.mouse.up()
    settled(page)
    assert "to" in page.locator("#prompts").inner_text() and page.locator("#objects .size").inner_text() != "empty"
    page.locator("#objects .unlocked").click()
    settled(page)
    page.locator("[data-tool=add]").click()
    page.mouse.click(*where(page, LEFT))
    settled(page)
    assert "is locked — unlock it" in page.locator("#error").inner_text()
    size = page.locator("#objects .size").inner_text()
    page.reload()
    page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
    assert page.locator("#objects .size").inner_text() == size
    assert not Path("ct_view").exists()
