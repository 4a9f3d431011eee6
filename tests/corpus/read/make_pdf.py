"""PDFs of text at places, written by hand: what a test says is in them is in them, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

FONTS = {False: "Helvetica", True: "Helvetica-Bold"}


@dataclass(frozen=True)
class Type:
    """A line of type: left end and baseline in points from the lower left corner, text in Windows' letters."""

    x: float
    y: float
    text: str
    size: float = 10
    bold: bool = False
    turned: bool = False  # a quarter against the clock


def make_pdf(
    pages: Sequence[Sequence[Type]], box: tuple[int, int, int, int] = (0, 0, 400, 600), rotate: int = 0, **info: str
) -> bytes:
    """A file of these pages; `info` is what it says of itself."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{6 + 2 * i} 0 R' for i in range(len(pages)))}] >>",
        *(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>" for name in FONTS.values()),
        "<< " + " ".join(f"/{key} ({value})" for key, value in info.items()) + " >>",
    ]
    for number, page in enumerate(pages):
        stream = b"\n".join(map(_shown, page))
        media, fonts = " ".join(map(str, box)), "/Font << /F0 3 0 R /F1 4 0 R >>"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{media}] /Rotate {rotate} "
            f"/Resources << {fonts} >> /Contents {7 + 2 * number} 0 R >>",
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        ]
    return _file(objects)


def _shown(line: Type) -> bytes:
    text = line.text.encode("cp1252")
    for char in (b"\\", b"(", b")"):
        text = text.replace(char, b"\\" + char)
    matrix = "0 1 -1 0" if line.turned else "1 0 0 1"
    return f"BT /F{int(line.bold)} {line.size} Tf {matrix} {line.x} {line.y} Tm (".encode() + text + b") Tj ET"


def _file(objects: Sequence[str | bytes]) -> bytes:
    data, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        body = content.encode("cp1252") if isinstance(content, str) else content
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n" % (len(places) + 1, table)
    end = b"<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return data + end % (len(places) + 1, data.rindex(b"xref\n0"))
