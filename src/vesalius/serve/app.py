"""The server of `vesalius view`: what the page asks for, and who may ask.

Knows HTTP: the page, the volume, the mask, entries of the log, saving. Only this machine's own page may ask: requests
to `/api` carry a token that only the printed address holds, every request must name this machine as its host (a page
of somewhere else whose name was pointed here does not), and one with an origin must come from the page itself. Leaves
what entries do to `scene.py`, files to `saving.py`.
"""

import secrets
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from isal import isal_zlib

from vesalius.errors import VesaliusError
from vesalius.media.grid import same_axes
from vesalius.media.volume import Volume
from vesalius.serve import log, saving
from vesalius.serve.scene import Scene

_HOSTS = ("127.0.0.1", "localhost", "::1")
# Everything comes from this server; NiiVue makes workers and fonts out of data of its own.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_RAS = np.eye(4)


def page_folder() -> Path:
    """Where the built page lies.

    Raises:
        VesaliusError: it was not built.
    """
    folder = Path(str(files("vesalius.serve") / "static"))
    if not (folder / "index.html").exists():
        remedy = "run make setup in the checkout (it builds it with Node), or install a wheel"
        raise VesaliusError("the page of vesalius view is not built", file=folder, remedy=remedy, code="page")
    return folder


def make_app(scene: Scene, out: Path, token: str, page: Path | None = None) -> FastAPI:
    """The server.

    Args:
        scene: what is looked at.
        out: folder that masks are saved in.
        token: that requests to `/api` carry in the header X-Token.
        page: folder of the built page; without one, `/api` alone.
    """
    app = FastAPI(title="vesalius view", docs_url=None, redoc_url=None, openapi_url=None)
    lock = threading.Lock()  # one thing at a time happens to a scene
    app.middleware("http")(_guard(token))
    app.exception_handler(VesaliusError)(_say)
    app.exception_handler(RequestValidationError)(_say_invalid)
    image = scene.volume.path or Path("volume")

    def state() -> dict[str, Any]:
        return scene.describe()

    @app.get("/api/info")
    def info() -> dict[str, Any]:
        with lock:
            return _info(scene, image, out) | state()

    @app.get("/api/volume")
    def volume() -> Response:
        return Response(_nifti(scene.volume), media_type="application/octet-stream")

    @app.get("/api/mask")
    def mask() -> Response:
        with lock:
            box, content = _cropped(scene)
        headers = {"X-Box": ",".join(map(str, box)), "Content-Encoding": "gzip", "Cache-Control": "no-store"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @app.post("/api/act")
    def act(entry: log.Entry) -> dict[str, Any]:
        with lock:
            scene.act(entry)
            return state()

    @app.post("/api/undo")
    def undo() -> dict[str, Any]:
        with lock:
            scene.undo()
            return state()

    @app.post("/api/redo")
    def redo() -> dict[str, Any]:
        with lock:
            scene.redo()
            return state()

    @app.post("/api/save")
    def save(form: Annotated[Literal["nifti", "dicom-seg"], Body(embed=True)]) -> dict[str, str]:
        with lock:
            found = scene.mask()
            if form == "nifti":
                return {"path": str(saving.save_nifti(out, image, found))}
            return {"path": str(saving.save_dicom(out, image, found, scene.model.name))}

    if page is not None:
        app.mount("/", StaticFiles(directory=page, html=True))
    return app


def _guard(token: str) -> Callable:
    """Refuses what does not come from the page."""

    async def guard(request: Request, call_next) -> Response:
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        if urlsplit(f"//{host}").hostname not in _HOSTS:
            return JSONResponse({"error": f"this server answers this machine alone, not {host}"}, 403)
        if origin is not None and urlsplit(origin).netloc != host:
            return JSONResponse({"error": f"this server answers its own page alone, not {origin}"}, 403)
        given = request.headers.get("x-token", "")
        if request.url.path.startswith("/api") and not secrets.compare_digest(given.encode(), token.encode()):
            return JSONResponse({"error": "not this server's page — open the address that vesalius view printed"}, 403)
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return guard


def _say(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error), "code": getattr(error, "code", "invalid")}, 422)


def _say_invalid(_: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:])
    return JSONResponse({"error": f"{where or 'request'}: {first.get('msg', error)}", "code": "request"}, 422)


def _info(scene: Scene, image: Path, out: Path) -> dict[str, Any]:
    """What does not change: the image and how to show it, the model, where things are saved."""
    volume = scene.volume
    sample = np.asarray(volume.data).ravel(order="K")[:: max(1, volume.data.size // 200_000)]
    above = sample[sample > sample.min()]  # the background of an MR has one value, and would fill the window
    low, high = (float(v) for v in np.percentile(above if len(above) else sample, (1, 99.5)))
    reason = saving.no_dicom(image)
    return {
        "image": {
            "name": saving.stem(image), "shape": list(volume.shape), "affine": np.asarray(volume.affine).tolist(),
            "spacing": [round(s, 4) for s in volume.spacing], "orientation": volume.orientation,
            # Hounsfield units begin near -1000 (air); no other usual scale goes so far below zero.
            "ct": bool(sample.min() <= -200), "range": [low, max(high, low + 1)],
        },
        "model": {"name": scene.model.name, "organs": list(scene.model.organs), "experts": list(scene.model.experts)},
        "out": str(out), "no_dicom": reason or "",
    }  # fmt: skip


def _canonical(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes turned to run to right, front and head, as the page holds voxels; lossless."""
    return same_axes(data, affine, Volume(data, _RAS))


def _nifti(volume: Volume) -> bytes:
    """The volume as the page reads it: an uncompressed NIfTI of a type that WebGL holds."""
    data, affine = _canonical(np.asarray(volume.data), volume.affine)
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif data.dtype.kind in "iu" and data.dtype not in (np.uint8, np.int16, np.uint16):
        short = data.min() >= -32768 and data.max() <= 32767
        data = data.astype(np.int16 if short else np.float32)
    elif data.dtype.kind == "f":
        data = data.astype(np.float32)
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    return image.to_bytes()


def _cropped(scene: Scene) -> tuple[list[int], bytes]:
    """The box of the mask (lower corner, size; axes as `_canonical`) and its voxels, x fastest, gzipped.

    A voxel is the place of its object in the list, from 1: labels may be larger than a byte.
    """
    places = np.zeros(65536, np.uint8)
    for place, layer in enumerate(scene.layers, 1):
        places[layer.label] = place
    labels, _ = _canonical(scene.labels, scene.volume.affine)
    lines = [np.flatnonzero(labels.any(axis=tuple(i for i in range(3) if i != axis))) for axis in range(3)]
    if not len(lines[0]):
        return [0] * 6, isal_zlib.compress(b"", 1, wbits=31)
    box = tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)
    shown = places[labels[box]]
    content = isal_zlib.compress(shown.tobytes(order="F"), 1, wbits=31)
    return [*(s.start for s in box), *shown.shape], content
