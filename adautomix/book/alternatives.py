"""Alternative texts of figures, on the site: written where a figure is drawn, found again by the picture's bytes.

A figure's description is `alt` in the output's metadata (`figures.describe`), which MyST-NB does not read, or inside a
PNG file that `figures.save` wrote.
"""

import binascii
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image


def described(path: Path) -> str:
    """Return the description inside a PNG file; "" without one, or if it is no picture."""
    try:
        with Image.open(path) as picture:
            return " ".join(picture.info.get("Description", "").split())
    except OSError:
        return ""


def alternatives(notebook: dict[str, Any]) -> dict[str, str]:
    """Return the text of every picture in a notebook's outputs, by the SHA-256 of the picture.

    Pictures that have none, of somebody's own program, are numbered below their section's heading.
    """
    return {
        hashlib.sha256(picture).hexdigest(): alt or f"Figure {number} of section “{heading}”"
        for number, heading, picture, alt in _pictures(notebook["cells"])
    }


def _pictures(cells: list[dict[str, Any]]) -> Iterator[tuple[int, str, bytes, str]]:
    heading, number = "", 0
    for cell in cells:
        if cell["cell_type"] == "markdown":
            headings = [line.lstrip("# ") for line in "".join(cell["source"]).splitlines() if line.startswith("#")]
            heading, number = (headings[-1], 0) if headings else (heading, number)
        for output in cell.get("outputs", ()):
            for kind in ("image/png", "image/jpeg"):
                data = output.get("data", {}).get(kind)
                if data is not None:
                    number += 1
                    alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                    yield number, heading, binascii.a2b_base64("".join(data)), alt


def give_alternatives(app: Any, doctree: Any) -> None:
    """Give the pictures of a page that is a notebook their texts; a hook of Sphinx, called for every page it read."""
    from docutils.nodes import image

    source = Path(app.env.doc2path(app.env.docname))
    pictures = list(doctree.findall(image))
    if source.suffix == ".ipynb" and pictures:
        texts = alternatives(json.loads(source.read_text(encoding="utf-8")))
        for picture in pictures:
            picture.setdefault("alt", texts.get(PurePosixPath(picture["uri"]).stem, ""))
