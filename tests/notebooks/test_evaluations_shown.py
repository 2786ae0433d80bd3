"""Notebooks of evaluations: published Runs, which have a teacher alone, and Runs that cannot be evaluated."""

import shutil

import pytest
import torch
from helpers import ROOT
from helpers.cells import run_cells

from adautomix.evaluate.occlusion import patchdrop
from adautomix.runs.run import find_runs
from adautomix.utils.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def published(tmp_path):
    """Return a folder with the published networks and what was measured of them; CIFAR is not there."""
    shutil.copytree(ROOT / "outputs" / "reference" / "small_data" / "networks", tmp_path / "networks")
    return tmp_path


@pytest.fixture
def trained(tmp_path):
    """Return a folder with the small golden run on digits, which needs no download."""
    shutil.copytree(ROOT / "tests" / "golden" / "run", tmp_path / "runs")
    return tmp_path


def test_20_shows_published_runs_and_says_that_they_have_no_student(published, capsys):
    shown = run_cells("20", outputs=str(published), root=str(published / "no_images"), device="cpu")
    printed = capsys.readouterr().out
    assert "no student with accuracy in 2 of 2 runs: published ones have no student" in printed
    assert "no student with calibration in 2 of 2 runs" in printed
    assert "no student with corruption in 2 of 2 runs" in printed
    assert "How good? Not told of students" in printed
    assert shown["wide"]["teacher"].str.contains("51.54 (51.09 to 51.99)", regex=False).any()


def test_32_and_36_show_what_published_runs_hold(published, capsys):
    shown = run_cells("32", outputs=str(published))
    assert [run.config.method for run in shown["runs"]] == ["adautomix"]
    assert "no student with corruption in 1 of 1 runs" in capsys.readouterr().out
    assert "regenerated" in shown["sources"]
    shown = run_cells("36", outputs=str(published))
    assert shown["fits"]["role"].tolist() == ["teacher"]
    assert "no student with calibration in 1 of 1 runs" in capsys.readouterr().out


def test_20_goes_on_after_a_run_that_cannot_be_evaluated_and_says_how_many_were_left_out(trained, capsys):
    whole = find_runs(trained, method="adautomix")[0]
    broken = shutil.copytree(whole.path, whole.path.parent / "a-broken")
    (broken / "checkpoint.pt").write_bytes(b"half")
    shown = run_cells("20", outputs=str(trained), evaluators=["fgsm"], sample=5, device="cpu")
    printed = capsys.readouterr().out
    assert "left out: a-broken: " in printed
    assert f"1 of {len(shown['tried'])} runs left out of the evaluation (section 2):" in printed
    assert whole.id != "a-broken"
    assert find_runs(trained, method="adautomix")[-1].metrics("fgsm", "student")["n_images"] == 5
    assert len(shown["tried"]) == len(shown["runs"])  # what it held before is shown


def test_20_says_why_where_nothing_is_left(trained):
    for run in find_runs(trained):
        (run.path / "checkpoint.pt").write_bytes(b"half")
        shutil.rmtree(run.path / "metrics", ignore_errors=True)
    with pytest.raises(UserError, match=r"no run could be evaluated:\n.*checkpoint"):
        run_cells("20", outputs=str(trained), device="cpu")


def test_20_shows_a_temperature_as_the_number_it_is(trained, capsys):
    for run in find_runs(trained):
        run.write_metrics("temperature", "student", {"value": {"temperature": 1.4863}, "n_images": 120})
    shown = run_cells("20", outputs=str(trained), device="cpu")
    told = shown["wide"].set_index("value").loc[["temperature"], "student"]
    assert told.tolist() == ["1.49 (1.49 to 1.49)"]


def test_35_paints_with_the_data_sets_mean_colour_as_it_says(trained):
    run_cells("20", outputs=str(trained), evaluators=["occlusion"], sample=5, device="cpu")
    shown = run_cells("35", outputs=str(trained))
    mean = torch.tensor(shown["run"].info["dataset"]["mean"])
    image, grid, index = (shown[name] for name in ("image", "grid", "index"))
    expected = patchdrop(image, 0.8, grid=grid, index=index, fill=mean)[0]
    assert torch.equal(list(shown["rows"].values())[1][-1], expected)


def test_35_says_whose_results_there_are(published):
    run = find_runs(published)[0]
    run.write_metrics("occlusion", "teacher", run.metrics("accuracy", "teacher"))
    with pytest.raises(UserError, match=r"no student with occlusion .*; of the teacher there is: role=teacher"):
        run_cells("35", outputs=str(published))
