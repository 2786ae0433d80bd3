"""The public address: links to Colab and Binder, the cell that installs on Colab, and who else names it."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from helpers import ROOT

from adautomix.book.address import GUARD, is_guard, set_address
from adautomix.cli.handout import handout_of
from adautomix.plans.headers import contents
from adautomix.plans.notebook import parameters_of
from adautomix.utils.errors import UserError

NAMES = ["CITATION.cff", "pyproject.toml"]


@pytest.fixture
def checkout(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*"))
    for name in NAMES:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def sources(path):
    return [(cell["source"], cell["metadata"]) for cell in cells(path)[1:] if not is_guard(cell)]


def guards(path):
    return ["".join(cell["source"]) for cell in cells(path) if is_guard(cell)]


def test_every_notebook_opens_elsewhere_and_stays_what_it_was(checkout):
    own = sorted((ROOT / "notebooks").glob("*.ipynb"))
    set_address("someone/workbook", checkout)
    for before in own:
        path = checkout / "notebooks" / before.name
        text = "".join(cells(path)[0]["source"])
        assert f"/github/someone/workbook/blob/main/notebooks/{path.name})" in text
        assert f"/gh/someone/workbook/main?labpath=notebooks/{path.name})" in text
        assert len(guards(path)) == 1
        assert parameters_of(path) == parameters_of(before)
        assert sources(path) == sources(before)
    stripped = [sys.executable, "-m", "nbstripout", "--verify", *sorted((checkout / "notebooks").glob("*.ipynb"))]
    assert subprocess.run(stripped, capture_output=True, check=False).returncode == 0  # make lint stays content
    assert contents(checkout / "notebooks").equals(contents(ROOT / "notebooks"))


def test_it_can_move_and_a_second_time_changes_nothing(checkout):
    set_address("someone/workbook", checkout)
    assert set_address("someone/workbook", checkout) == []
    changed = set_address("some-body/else.where", checkout)
    assert {path.name for path in changed} == {*NAMES, *(p.name for p in (checkout / "notebooks").glob("*.ipynb"))}
    for path in changed:
        text = path.read_text(encoding="utf-8")
        assert "someone/workbook" not in text
        assert "some-body/else.where" in text
        assert text.count("Open in Colab") <= 1


def test_citation_and_package_name_it_too(checkout):
    set_address("someone/workbook", checkout)
    citation = yaml.safe_load((checkout / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["repository-code"] == project["urls"]["Repository"] == "https://github.com/someone/workbook"
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == own["dependencies"]


@pytest.mark.parametrize(
    ("colab", "installed", "calls"), [(False, False, 0), (False, True, 0), (True, True, 0), (True, False, 1)]
)
def test_the_first_cell_installs_on_colab_alone(checkout, monkeypatch, colab, installed, calls):
    set_address("someone/workbook", checkout)
    (source,) = guards(checkout / "notebooks" / "01_mixing_family.ipynb")
    called = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: called.append(command))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    if colab:
        monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab-20261101")
    exec(source, {})
    assert len(called) == calls
    for command in called:
        assert command[1:4] == ["-m", "pip", "install"]
        assert command[-1] == "adautomix[figures] @ git+https://github.com/someone/workbook"


@pytest.mark.parametrize("name", ["", "workbook", "a/b/c", "https://github.com/a/b", "a b/c", "a/b'); evil('", "-a/b"])
def test_what_is_no_repository_is_refused_before_anything_is_written(checkout, name):
    before = {path: path.read_bytes() for path in checkout.rglob("*.*") if path.is_file()}
    with pytest.raises(UserError, match="owner/name"):
        set_address(name, checkout)
    assert {path: path.read_bytes() for path in checkout.rglob("*.*") if path.is_file()} == before


def test_a_folder_that_is_no_checkout_is_refused(checkout):
    (checkout / "CITATION.cff").unlink()
    with pytest.raises(UserError, match=r"no CITATION\.cff; call it in a checkout"):
        set_address("someone/workbook", checkout)
    assert guards(checkout / "notebooks" / "00_index.ipynb") == guards(ROOT / "notebooks" / "00_index.ipynb")


def test_a_handout_does_not_lead_to_its_solutions(checkout):
    set_address("someone/workbook", checkout)
    notebook = json.loads((checkout / "notebooks" / "01_mixing_family.ipynb").read_text(encoding="utf-8"))
    text = json.dumps(handout_of(notebook, solutions=False))
    assert "colab.research" not in text
    assert "mybinder" not in text
    assert GUARD in text  # it may be uploaded to Colab all the same


def test_all_notebooks_of_this_repository_name_one_address_or_none():
    found = [guards(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    assert all(cell == found[0] for cell in found)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    assert [re.search(r"git\+(\S+)\"", cell[0])[1] for cell in found if cell] == [address] * len(found) * bool(address)
