"""Executed: stubs say what is missing and stop nothing, solutions pass every check."""

import json
import subprocess
import sys

import pytest
from helpers import ROOT

from adautomix.cli.handout import SOLUTION, STUB
from adautomix.lessons.telling import NOTHING

# One process runs them all: they share the workbook that a plan filled.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("notebooks")]
PLAYED = ("check_collapse", "check_repair")
"""Checks of generators that are trained, for which the plan's smallest parameters are too few steps."""


def printed(path, tag):
    """Return, for every code cell of a tag, its text and what it printed."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    tagged = [cell for cell in cells if tag in cell["metadata"].get("tags", [])]
    return [("".join(c["source"]), "".join("".join(o.get("text", "")) for o in c["outputs"])) for c in tagged]


def passes(shown):
    return any(line == "right" or line.endswith(": right") for line in shown.splitlines())


@pytest.mark.parametrize("step", ["family", "generator", "adversarial", "regimes"])
def test_in_the_workbook_stubs_say_what_is_missing_and_solutions_are_right(smoke, step):
    file = smoke[0] / "outputs" / "smoke" / "tasks" / step / "notebook.ipynb"
    stubs, solutions = (printed(file, tag) for tag in (STUB, SOLUTION))
    assert len(stubs) == len(solutions) > 0
    for source, shown in stubs:
        assert NOTHING in shown, source
    for source, shown in solutions:
        assert passes(shown) or any(check in source for check in PLAYED), source


def test_the_game_is_played_without_runs_and_its_solutions_are_right_as_it_comes(tmp_path):
    """The reference network and the photographs serve 03; only its section 8 shows runs, if there are any."""
    out = tmp_path / "o.ipynb"
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks" / "03_adversarial_objective.ipynb"), str(out)]
    command += ["-p", "outputs", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    played = [(source, shown) for source, shown in printed(out, SOLUTION) if any(check in source for check in PLAYED)]
    assert len(played) == len(PLAYED)
    for source, shown in played:
        assert passes(shown), (source, shown)


def handed_out(folder, number, *flags):
    """Return a handout as papermill executed it, in a folder that is no workbook."""
    written = subprocess.run(
        [sys.executable, "-m", "adautomix", "handout", str(folder), "--only", number, *flags], cwd=ROOT, check=False
    )
    assert written.returncode == 0
    (file,) = folder.glob(f"{number}_*.ipynb")
    command = [sys.executable, "-m", "papermill", file.name, "out.ipynb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out.ipynb"


# 41 is the quickest; the test above has all four.
def test_a_handout_runs_to_its_end_and_each_check_says_that_nothing_is_there(tmp_path):
    out = handed_out(tmp_path, "41")
    assert printed(out, SOLUTION) == []
    assert all(NOTHING in shown for _, shown in printed(out, STUB))
    assert printed(out, STUB)


def test_with_solutions_every_check_says_right(tmp_path):
    out = handed_out(tmp_path, "41", "--solutions")
    assert printed(out, STUB) == []
    assert printed(out, SOLUTION)
    for source, shown in printed(out, SOLUTION):
        assert passes(shown), (source, shown)
