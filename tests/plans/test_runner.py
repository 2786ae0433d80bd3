"""Whole plans, run as a user runs them: which tasks run, and which run again?"""

import json

import pytest
from helpers.plans import OUTPUTS, RECORD, command, write_notebook, write_plan

pytestmark = pytest.mark.slow


def test_sixteen_notebooks_start_together_on_two_workers_without_a_clash(tmp_path):
    code = RECORD + "pathlib.Path(outputs, 'seen', str(number)).touch()"
    write_notebook(tmp_path, "tiny", OUTPUTS + "number: int = 0  # which", code)
    write_plan(tmp_path, {"all": {"notebook": "tiny", "grid": {"number": list(range(16))}}})
    result = command(tmp_path, "run", "tiny", "--workers", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "tiny: 16 done" in result.stdout
    assert len(list((tmp_path / "outputs" / "tiny" / "seen").iterdir())) == 16
    again = command(tmp_path, "run", "tiny", "--workers", "2")
    assert "tiny: 16 kept" in again.stdout
    assert "notebooks to run" not in again.stdout  # no cluster was even started


def test_stale_forced_and_chosen_tasks_run_again_and_no_others(tmp_path):
    count = RECORD + "open(pathlib.Path(outputs, 'seen', f'{name}.txt'), 'a').write('x')"
    write_notebook(tmp_path, "count", OUTPUTS + 'name: str = "a"  # whose\nepochs: int = 1  # passes', count)
    steps = {
        "a": {"notebook": "count", "parameters": {"name": "a"}},
        "b": {"notebook": "count", "parameters": {"name": "b"}, "needs": "a"},
        "c": {"notebook": "count", "parameters": {"name": "c"}},
    }
    write_plan(tmp_path, steps)

    def runs():
        seen = tmp_path / "outputs" / "tiny" / "seen"
        return {p.stem: len(p.read_text()) for p in seen.iterdir()}

    assert command(tmp_path, "run", "tiny", "--only", "b").returncode == 0
    assert runs() == {"a": 1, "b": 1}
    assert command(tmp_path, "run", "tiny").returncode == 0
    assert runs() == {"a": 1, "b": 1, "c": 1}
    assert command(tmp_path, "run", "tiny", "--only", "a", "--force").returncode == 0
    assert runs() == {"a": 2, "b": 1, "c": 1}
    steps["a"]["parameters"]["epochs"] = 2
    write_plan(tmp_path, steps)
    assert "stale    a" in command(tmp_path, "status", "tiny").stdout
    assert command(tmp_path, "run", "tiny").returncode == 0
    assert runs() == {"a": 3, "b": 2, "c": 1}


def test_parameters_reach_the_notebook_and_are_kept_with_it(tmp_path):
    write_notebook(tmp_path, "show", OUTPUTS + "epochs: int = 1  # passes", "print('epochs', epochs, outputs)")
    write_plan(tmp_path, {"show": {"notebook": "show"}}, parameters={"epochs": 2})
    assert command(tmp_path, "run", "tiny", "--set", "epochs=5", "--name", "mine").returncode == 0
    folder = tmp_path / "outputs" / "mine" / "tasks" / "show"
    assert f"epochs 5 {tmp_path / 'outputs' / 'mine'}" in (folder / "notebook.ipynb").read_text()
    assert json.loads((folder / "DONE").read_text())["parameters"]["epochs"] == 5
    assert "mine: 1 done" in command(tmp_path, "status", "tiny", "--name", "mine").stdout  # as it was run
    assert "mine: 1 stale" in command(tmp_path, "status", "tiny", "--name", "mine", "--set", "epochs=6").stdout
    unknown = command(tmp_path, "status", "tiny", "--name", "yours")
    assert unknown.returncode == 2
    assert "nothing was run under the name 'yours'" in unknown.stderr
