"""`vesalius view`: a volume in the browser, segmented by clicks."""

from pathlib import Path
from typing import Annotated

import typer

from vesalius.errors import VesaliusError


def view(
    image: Annotated[Path, typer.Argument(help="NIfTI, NRRD, MetaImage, or the folder of a DICOM series.")],
    mask: Annotated[
        Path | None,
        typer.Option(help="Labels to go on from, on the image's grid; names from the file or beside it."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Who answers clicks: sam3d:FOLDER, or seeds: (region growing, no weights).")
    ] = "seeds:",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of prompts and masks; by default IMAGE_view/.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(help="Of this machine; 0 takes a free one.", min=0, max=65535)] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Look at a volume, click on a structure, see its mask, correct it, save it.

    The page is served on this machine alone, and needs no network. Every click is kept in OUT/prompts.json: ended at
    any moment, the same command shows the same masks. Ctrl-C ends it.

    Example: vesalius view ct.nii.gz --mask organs.nii.gz --model sam3d:checkpoint/
    """
    import secrets
    import socket

    try:
        import uvicorn

        from vesalius.serve.app import make_app, page_folder
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "uvicorn", "starlette"):
            raise
        remedy = "pip install 'vesalius[serve]'"
        raise VesaliusError(f"{error.name} is not installed", remedy=remedy, code="library") from None
    from vesalius.media.volume import read_header, read_volume
    from vesalius.models.promptable import open_promptable
    from vesalius.serve.saving import stem
    from vesalius.serve.scene import Scene

    page = page_folder()
    answering = open_promptable(model)
    needs = getattr(answering, "needs", None)
    takes = f"; it takes about {needs(read_header(image))} of memory" if needs else ""
    volume = read_volume(image)
    out = out or Path(f"{stem(image)}_view")
    scene = Scene(volume, answering, out, _initial(mask) if mask else None)
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        remedy = "name another with --port, or none"
        raise VesaliusError(f"port {port}: {error.strerror}", remedy=remedy, code="port") from None
    token = secrets.token_urlsafe(16)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/#{token}"
    print(f"{image} is at {address}{takes}\nPrompts and masks are kept in {out}/; Ctrl-C ends it.", flush=True)
    if open_:
        import webbrowser

        webbrowser.open(address)
    server = uvicorn.Server(uvicorn.Config(make_app(scene, out, token, page), log_level="warning"))
    server.run(sockets=[listening])


def _initial(path: Path):
    """Labels with their names: from the file, else from a label map beside it."""
    from dataclasses import replace

    from vesalius.formats.labels import find_label_map
    from vesalius.media.volume import read_labels

    labels = read_labels(path)
    beside = None if labels.names else find_label_map(path.absolute().parent)
    if beside is not None:
        names = {ids[0]: name for name, ids in beside.targets.items() if len(ids) == 1}
        labels = replace(labels, names=names)
    return labels
