"""Notebooks keep their form, and the table of contents lists each."""

import ast
import json
import re
from pathlib import Path

import pytest

from adautomix.notebooks import contents
from adautomix.runner.notebook import parameters_of

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_keep_their_form(path):
    cells = json.loads(path.read_text())["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert cells[1]["metadata"].get("tags") == ["parameters"]
    assert cells[2]["cell_type"] == "code"
    assert "import" in "".join(cells[2]["source"])
    assert cells[-1]["cell_type"] == "code" or "two sentences" in "".join(cells[-1]["source"])
    assert parameters_of(path)
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            assert ":::" not in source  # JupyterLab shows it as text
        else:
            assert not cell["outputs"]
            assert len(source.splitlines()) <= 40
            assert [line for line in source.splitlines() if len(line) > 84] == []  # the site shows no more
            assert not re.search(r"^\s*[!%]\s*pip", source, re.MULTILINE)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef):
                    assert node.end_lineno - node.lineno < 5, f"{node.name} belongs into the package"


def test_the_contents_list_every_notebook():
    table = contents(ROOT / "notebooks")
    assert table["notebook"].tolist() == [p.stem for p in NOTEBOOKS]
    assert table.ne("").all().all()
    assert table["question"].str.endswith("?").all()
