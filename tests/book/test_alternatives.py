"""Alternative texts on the site: a picture's own description, wherever it is kept, or else where it stands."""

import base64
import hashlib
import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from adautomix.book.alternatives import alternatives, described


def png(color, description=None):
    told, file = PngInfo(), io.BytesIO()
    if description:
        told.add_text("Description", description)
    Image.new("RGB", (2, 2), color).save(file, "png", pnginfo=told)
    return file.getvalue()


def output(picture, **metadata):
    data = {"image/png": base64.b64encode(picture).decode(), "text/plain": "<Figure>"}
    return {"output_type": "display_data", "data": data, "metadata": {"image/png": metadata} if metadata else {}}


def test_every_picture_has_the_text_it_was_drawn_with_or_its_section_and_number():
    cells = [
        {"cell_type": "markdown", "source": "# Title\n\n## 1 · First"},
        {"cell_type": "code", "source": "a", "outputs": [output(png("red"), alt="Two lines."), output(png("green"))]},
        {"cell_type": "markdown", "source": "text\n\n## 2 · Second\n\ntext"},
        {"cell_type": "code", "source": "b", "outputs": [output(png("blue"), width=3), {"output_type": "stream"}]},
    ]
    texts = ("Two lines.", "Figure 2 of section “1 · First”", "Figure 1 of section “2 · Second”")
    pictures = [png(color) for color in ("red", "green", "blue")]
    hashes = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    assert alternatives({"cells": cells}) == dict(zip(hashes, texts, strict=True))


def test_a_files_description_is_read_from_inside_and_what_has_none_gives_none(tmp_path):
    (tmp_path / "told.png").write_bytes(png("red", "Two\nlines."))
    (tmp_path / "plain.png").write_bytes(png("red"))
    (tmp_path / "empty.png").touch()
    assert [described(tmp_path / f"{name}.png") for name in ("told", "plain", "empty")] == ["Two lines.", "", ""]
