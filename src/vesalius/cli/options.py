"""Options that several commands have."""

from typing import Annotated

import typer

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster whose machines see the same files: host:port of its head, auto (the one running "
        "here), or local (one of its own).",
        show_default=False,
    ),
]
