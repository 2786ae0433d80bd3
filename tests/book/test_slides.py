"""Slides: of the tagged cells, with figures where a plan ran, and without a word to the network."""

import importlib.util
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import ROOT

from adautomix.book import slides
from adautomix.book.slides import TAG, build_slides, slides_of, with_outputs
from adautomix.plans.headers import LEARNING
from adautomix.utils.errors import UserError

PNG = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}}
TEXT = "**Reading the figure.** It falls.\n\n## 2 · Next\n\n**Idea.** Blend.\n\n$$a = b$$\n\nMore words."


def cell(kind, source, *tags, outputs=()):
    own = {"outputs": list(outputs), "execution_count": 1} if kind == "code" else {}
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}, "id": source[:3]} | own


NOTEBOOK = {
    "metadata": {},
    "cells": [
        cell("markdown", "# 01 · Why?\n\n**Goal** to know.\n\n**Time** long"),
        cell("code", "plot()", TAG, outputs=[PNG, {"output_type": "stream", "name": "stdout", "text": "x"}]),
        cell("markdown", TEXT, TAG),
        cell("code", "silent()", TAG),
        cell("markdown", "not tagged"),
    ],
}


def test_a_slide_is_a_heading_a_paragraph_and_equations_or_a_figure_and_the_rest_are_notes():
    shown = [(c["metadata"]["slideshow"]["slide_type"], c["source"]) for c in slides_of(NOTEBOOK)["cells"]]
    assert shown == [
        ("slide", "# 01 · Why?\n\nTo know."),
        ("slide", ""),
        ("notes", "**Reading the figure.** It falls.\n"),
        ("slide", "## 2 · Next\n\n**Idea.** Blend.\n\n$$a = b$$"),
        ("notes", "More words."),
    ]
    assert slides_of(NOTEBOOK)["cells"][1]["outputs"] == [PNG | {"data": {"image/png": "iVBORw0KGgo="}}]


def test_a_cell_that_changed_since_it_was_executed_shows_nothing():
    cells = [cell("code", "plot()", TAG), cell("code", "plot(2)", TAG)]
    shown = with_outputs({"cells": cells}, {"cells": [NOTEBOOK["cells"][1]]})["cells"]
    assert [len(c["outputs"]) for c in shown] == [2, 0]


@pytest.mark.parametrize("number", LEARNING)
def test_every_learning_notebook_has_slides_of_texts_and_figures(number):
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    tagged = [c for c in json.loads(path.read_text())["cells"] if TAG in c["metadata"].get("tags", [])]
    assert {c["cell_type"] for c in tagged} == {"markdown", "code"}
    for c in tagged:
        assert c["cell_type"] == "code" or "## " in "".join(c["source"])
        assert not {"solution", "stub"} & set(c["metadata"]["tags"])


def test_without_reveal_js_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "NEEDED", {"no_such_reveal": "."})
    with pytest.raises(UserError, match=r"slides need no_such_reveal; install .*\[book\]"):
        build_slides(SimpleNamespace(tasks={}, outputs=tmp_path))


@pytest.mark.slow
def test_slides_need_no_network(tmp_path):
    if importlib.util.find_spec("sphinx_revealjs") is None:
        pytest.skip("sphinx-revealjs, of the extra 'book', is not installed: slides are not built")
    made = build_slides(SimpleNamespace(tasks={}, outputs=tmp_path))
    assert [file.name[:2] for file in made] == list(LEARNING)
    assert not any(made.values())  # nothing was executed
    for file in made:
        page = file.read_text()
        loaded = re.findall(r'(?:src|href)="([^"#]+)"', page)
        own = [path for path in loaded if not path.startswith("data:")]
        assert {"reveal/dist/reveal.js", "mathjax/tex-chtml.js"} <= set(own)
        assert [path for path in own if path.startswith("http") and f'src="{path}"' in page] == []
        assert [path for path in own if "//" not in path and not (Path(tmp_path) / "slides" / path).exists()] == []
        assert not re.search(r"import .* from ['\"]http", page)
        (theme,) = [path for path in own if "/theme/" in path]
        assert "url(http" not in (tmp_path / "slides" / theme).read_text()
