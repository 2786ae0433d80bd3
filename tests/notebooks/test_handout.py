"""Handouts: nothing of a solution is in one, nothing hangs on a solution, and nobody's work is overwritten."""

import json
import symtable

import pytest
from helpers import ROOT
from helpers.commands import call

from adautomix.cli.handout import BLANK, SOLUTION, STUB, handout_of
from adautomix.plans.headers import LEARNING

NOTEBOOKS = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.name[:2] in LEARNING]


def cells_of(path, tag=None):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if tag is None or tag in cell["metadata"].get("tags", [])]


def written(*arguments):
    return call("handout", *map(str, arguments))


def text_of(cell):
    return "".join(cell["source"])


def names_of(cells):
    """Return the names that cells bind for others, and those that they read from others."""
    bound, read = set(), set()
    for cell in cells:
        top = symtable.symtable(text_of(cell), "cell", "exec")
        bound |= {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
        tables = [top]
        while tables:
            table = tables.pop()
            tables += table.get_children()
            read |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (s.is_global() or table is top)}
    return bound, read


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_exercise_has_a_stub_with_a_check_and_then_the_solution_with_the_same(path):
    cells = cells_of(path)
    tags = [cell["metadata"].get("tags", []) for cell in cells]
    stubs = [i for i, tag in enumerate(tags) if STUB in tag]
    assert stubs
    for i in stubs:
        checks = [{part.split("(")[0] for part in text_of(cell).split("check_")[1:]} for cell in cells[i : i + 2]]
        assert checks[0] == checks[1] != set(), text_of(cells[i])
        assert SOLUTION in tags[i + 1]
    code = [i for i, tag in enumerate(tags) if SOLUTION in tag and cells[i]["cell_type"] == "code"]
    assert code == [i + 1 for i in stubs]
    assert all("hide-cell" in tags[i] and cells[i]["metadata"]["jupyter"]["source_hidden"] for i in code)
    assert not any("<details>" in text_of(cell) for cell in cells if SOLUTION not in cell["metadata"].get("tags", []))


@pytest.mark.parametrize("tag", [SOLUTION, STUB])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_other_cell_reads_what_only_a_solution_or_a_stub_binds(path, tag):
    code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
    bound, read = names_of(cell for cell in code if tag not in cell["metadata"].get("tags", []))
    only_there, _ = names_of(cell for cell in code if tag in cell["metadata"].get("tags", []))
    assert (only_there - bound) & read == set()


def test_a_handout_holds_no_line_of_a_solution(tmp_path):
    assert written(tmp_path) == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in NOTEBOOKS]
    for path in NOTEBOOKS:
        handed = cells_of(tmp_path / path.name)
        lines = {line.strip() for cell in handed for line in text_of(cell).splitlines()}
        others = [cell for cell in cells_of(path) if SOLUTION not in cell["metadata"].get("tags", [])]
        lesson = {line.strip() for cell in others for line in text_of(cell).splitlines()}
        for cell in cells_of(path, SOLUTION):
            own = {line.strip() for line in text_of(cell).splitlines()} - lesson
            assert own
            assert own & lines == set()
        assert len(handed) == len(cells_of(path)) - sum(c["cell_type"] == "code" for c in cells_of(path, SOLUTION))
        assert sum(text_of(cell) == BLANK for cell in handed) == sum(
            cell["cell_type"] == "markdown" for cell in cells_of(path, SOLUTION)
        )
        assert not cells_of(tmp_path / path.name, SOLUTION)
        assert text_of(handed[0]).startswith(f"# {path.name[:2]} · ")
        assert "**Handout.**" in text_of(handed[0])


def test_with_solutions_they_stand_unfolded_where_the_stubs_were(tmp_path):
    assert written(tmp_path, "--solutions", "--only", "02") == 0
    (file,) = tmp_path.iterdir()
    assert not cells_of(file, STUB)
    assert cells_of(file, SOLUTION)
    assert not any("hide-cell" in c["metadata"]["tags"] or "jupyter" in c["metadata"] for c in cells_of(file, SOLUTION))
    assert "**With solutions**" in text_of(cells_of(file)[0])


def test_links_to_notebooks_that_are_no_handouts_become_words():
    cell = {"cell_type": "markdown", "metadata": {}, "source": "# 01 · A\nSee [40](40_b.ipynb#x) and [02](02_c.ipynb)."}
    (shown,) = handout_of({"cells": [cell]}, solutions=True)["cells"]
    assert text_of(shown).endswith("See 40 and [02](02_c.ipynb).")


def test_nothing_that_was_executed_goes_along():
    cell = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [{"text": "/home/me"}], "execution_count": 3}
    title = {"cell_type": "markdown", "metadata": {}, "source": "# 01 · A"}
    _, shown = handout_of({"cells": [title, cell]}, solutions=False)["cells"]
    assert (shown["outputs"], shown["execution_count"]) == ([], None)


def test_a_file_that_somebody_worked_in_is_never_overwritten(tmp_path, capsys):
    assert written(tmp_path, "--only", "01") == 0
    assert written(tmp_path) == 0  # as they are; the others come
    file = tmp_path / "01_mixing_family.ipynb"
    file.write_text(file.read_text().replace("...  # return the mixed images", "return x, y  # mixed images"))
    (tmp_path / "02_generator.ipynb").unlink()
    capsys.readouterr()
    for more in ((), ("--solutions",)):
        assert written(tmp_path, *more) == 2
        assert "01_mixing_family.ipynb" in (said := capsys.readouterr().err)
        assert "Nothing was written" in said
    assert "return x, y" in file.read_text()
    assert not (tmp_path / "02_generator.ipynb").exists()


def test_a_notebook_without_exercises_is_refused(tmp_path, capsys):
    assert written(tmp_path, "--only", "10") == 2
    assert "exercises in 01, 02, 03, 41, not in 10" in capsys.readouterr().err
