"""Notebooks keep their form, and the table of contents lists each."""

import ast
import json
import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from helpers import ROOT

from adautomix.book.address import is_guard
from adautomix.config import OptimConfig, TrainConfig, from_dict
from adautomix.plans.headers import contents
from adautomix.plans.notebook import parameters_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_keep_their_form(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if not is_guard(cell)]
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


def sections_of(path):
    return [int(number) for number in re.findall(r"^## (\d+) ·", prose_of(path), re.MULTILINE)]


def prose_of(path):
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_sections_are_numbered_through_and_those_referred_to_exist(path):
    sections = sections_of(path)
    assert sections == list(range(1, len(sections) + 1))
    text = re.sub(r"[Nn]otebook \d\d,\s+sections? [\d,\sand]+", "", prose_of(path))  # another's
    assert {int(number) for number in re.findall(r"[Ss]ections? (\d+)", text)} <= set(sections)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_sections_of_other_notebooks_referred_to_exist(path):
    for number, listed in re.findall(r"[Nn]otebook (\d\d),\s+sections? ([\d,\sand]+)", prose_of(path)):
        (other,) = [p for p in NOTEBOOKS if p.stem.startswith(number)]
        assert {int(n) for n in re.findall(r"\d+", listed)} <= set(sections_of(other)), f"notebook {number}, {listed}"


def test_the_contents_list_every_notebook():
    table = contents(ROOT / "notebooks")
    assert table["notebook"].tolist() == [p.stem for p in NOTEBOOKS]
    assert table.ne("").all().all()
    assert table["question"].str.endswith("?").all()


def test_the_notebook_for_ones_own_images_gives_an_optimiser_to_whatever_a_method_trains():
    """A method may call what it trains as it likes."""
    cells = json.loads((ROOT / "notebooks" / "11_your_own_images.ipynb").read_text())["cells"]
    (source,) = [text for text in ("".join(cell["source"]) for cell in cells) if "trainable_modules()" in text]
    student = OptimConfig(lr=0.05, nesterov=True)
    values = {"config": TrainConfig(optim={"student": student}), "student_optim": student, "OptimConfig": OptimConfig}
    values |= {"mixer": SimpleNamespace(trainable_modules=lambda: {"critic": None, "pasting": None})}
    values |= {"generator": {"name": "adamw", "lr": 0.01}, "asdict": asdict, "from_dict": from_dict, "replace": replace}
    exec(source.split("run = train(")[0], values)
    optim = values["config"].optim
    assert {name: one.name for name, one in optim.items()} == {"student": "sgd", "critic": "adamw", "pasting": "adamw"}
