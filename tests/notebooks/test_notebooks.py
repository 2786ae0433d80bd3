"""Every notebook runs from a clean state: through our runner with smoke parameters, and alone under papermill."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from helpers.smoke import SMOKE, TASKS

from adautomix.runs.run import find_runs

# One process runs them all: they share the workbook that a plan filled.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("notebooks")]


def errors_in(path: Path) -> list[str]:
    cells = json.loads(path.read_text())["cells"]
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    return [out["ename"] for out in outputs if out["output_type"] == "error"]


def test_the_notebooks_stay_in_one_process(request):
    """A worker that does not know of the group would run the whole plan once more."""
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@notebooks")


def test_all_notebooks_run_as_a_plan(smoke):
    folder, printed = smoke
    assert f"smoke: {TASKS} done" in printed
    assert "top-1 accuracy" in printed
    assert "mixup" in printed
    notebooks = list((folder / "outputs" / "smoke" / "tasks").rglob("notebook.ipynb"))
    assert len(notebooks) == TASKS
    assert not any(map(errors_in, notebooks))
    assert len(find_runs(folder / "outputs" / "smoke", data="digits")) == 5


def test_the_reproducing_notebooks_leave_their_figures_and_tables(smoke):
    folder, _ = smoke
    outputs = folder / "outputs" / "smoke"
    names = {p.name for p in (outputs / "figures").iterdir()}
    own = ("03_masks", "33_mixed_images", "35_figure3_occlusion", "35_occlusion_released")
    stems_of_tables = ("30_table1", "30_table2")
    network = (
        "32_corruptions",
        "32_fgsm",
        "32_protocols",
        "36_reliability",
        "38_accuracy",
        "38_learning_curves",
        "38_rules",
    )
    stems = [f"{stem}_digits" for stem in own] + [
        "33_five_methods",
        "33_other_methods",
        "34_framework",
        "36_released_ece",
    ]
    stems += stems_of_tables
    stems += [f"{stem}_digits_resnet18" + ("_student" if "reliability" in stem else "") for stem in network]
    for stem in stems:
        assert {f"{stem}.png", f"{stem}.svg"} <= names
    for suffix in ("csv", "md", "tex"):
        assert "82.32" in (outputs / "tables" / f"30_table1.{suffix}").read_text()
    assert "base,defaults" in (outputs / "tables" / "37_ablations.csv").read_text()
    for table in ("30_table1", "38_rules", "32_table3", "35_occlusion", "36_calibration", "38_accuracy"):
        assert "mixup" in (outputs / "tables" / f"{table}.csv").read_text()


# The plan above ran every one of them; stock papermill, whose kernel imports everything anew, gets one of a kind.
ALONE = ["01_mixing_family", "11_your_own_images", "20_evaluate", "34_figure2_framework", "41_when_mixing_pays"]


@pytest.mark.parametrize("name", ALONE)
def test_a_notebook_runs_alone_under_stock_papermill(smoke, tmp_path, name):
    folder, _ = smoke
    given = SMOKE | {"outputs": "outputs/smoke"}
    declared = json.loads((folder / "notebooks" / f"{name}.ipynb").read_text())["cells"][1]["source"]
    flags = [f for k, v in given.items() if f"\n{k}:" in "\n" + "".join(declared) for f in ("-p", k, str(v))]
    out = tmp_path / "out.ipynb"
    arguments = [sys.executable, "-m", "papermill", f"notebooks/{name}.ipynb", str(out), *flags]
    result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "Passed unknown parameter" not in result.stderr
    assert not errors_in(out)


NEEDS_RUNS = ["20_evaluate", "30_tables", "35_figure3_occlusion"]


@pytest.mark.parametrize("name", NEEDS_RUNS)
def test_a_notebook_without_runs_says_what_to_run_first(tmp_path, name):
    arguments = [
        sys.executable,
        "-m",
        "papermill",
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(tmp_path / "o.ipynb"),
    ]
    given = ["-p", "outputs", str(tmp_path)]
    result = subprocess.run([*arguments, *given], capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode != 0
    assert "run 10_train" in result.stderr


@pytest.mark.parametrize("name", ["39_cifar10_study", "41_when_mixing_pays"])
def test_the_published_studies_are_shown_and_what_is_claimed_of_them_holds(tmp_path, name):
    """As plan quick shows them; the plan of these tests has too few seeds for intervals, and no claim is of it."""
    out = tmp_path / "o.ipynb"
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks" / f"{name}.ipynb"), str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert not errors_in(out)
