"""The wheel in an environment of its own, outside of any checkout: what `pip install adautomix` gives."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT

UV = Path(sys.executable).with_name("uv")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


def uv(*arguments, **variables):
    """Run uv on what its cache holds (make setup filled it), so that nothing is downloaded."""
    environment = os.environ | {"UV_OFFLINE": "1", **variables}
    return subprocess.run([UV, *map(str, arguments)], env=environment, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if not UV.exists():
        pytest.skip("the environment was not made by `make setup`: there is no uv beside this Python")
    folder = tmp_path_factory.mktemp("wheel")
    built = uv("build", "--wheel", "--out-dir", folder)
    if built.returncode:
        pytest.skip(f"uv's cache does not hold what the build needs: {built.stderr.strip().splitlines()[-1]}")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs a program of the new environment in an empty folder, and that folder."""
    folder, here = tmp_path_factory.mktemp("environment") / "venv", tmp_path_factory.mktemp("elsewhere")
    assert uv("venv", folder, "--python", sys.executable).returncode == 0
    asked = f"adautomix[figures] @ {wheel.as_uri()}"
    done = uv("pip", "install", "--constraint", ROOT / "constraints.txt", asked, VIRTUAL_ENV=str(folder))
    if done.returncode:
        pytest.skip(f"uv's cache does not hold what the wheel needs: {done.stderr.strip().splitlines()[-1]}")
    places = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(program, *arguments):
        command = [folder / ("Scripts" if os.name == "nt" else "bin") / program, *arguments]
        return subprocess.run(command, cwd=here, env=places, capture_output=True, text=True)

    return run, here


def test_the_wheel_holds_every_notebook_and_what_was_published(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.removeprefix("adautomix/workbook/") for name in names}
    tracked = subprocess.run(
        ["git", "ls-files", "notebooks", "outputs/reference"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    assert len(tracked) > 40
    assert set(tracked) <= inside
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_package_alone_trains_evaluates_and_shows(installed):
    run, here = installed
    trained = run("adautomix", "train", "--method", "adautomix", "--width", "4", "--epochs", "1", "--runs", "runs")
    assert trained.returncode == 0, trained.stderr
    evaluated = run("adautomix", "evaluate", "runs", "--evaluators", "accuracy", "calibration")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "calibration of the teacher" in evaluated.stdout
    shown = run("adautomix", "demo")
    assert shown.returncode == 0, shown.stderr
    assert "adautomix notebooks" in shown.stdout  # there is no Makefile here
    assert (here / "outputs" / "demo" / "mixed.png").stat().st_size > 100_000


def test_the_readmes_loop_runs(installed):
    run, _ = installed
    block = next(
        b for b in re.findall(r"(?:^ {4}.*\n)+", (ROOT / "README.md").read_text(), re.MULTILINE) if ".build(" in b
    )
    loop = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    setting = (
        "import torch; from torchvision.models import resnet18; net = resnet18(); net.fc = torch.nn.Identity();"
        "epochs = 1; loader = [(torch.rand(4, 3, 32, 32), torch.arange(4))] * 2"
    )
    done = run("python", "-c", f"{setting}\n{loop}\nprint(float(sum(losses.values())))")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


def test_what_needs_the_notebooks_says_where_they_are(installed):
    run, here = installed
    refused = run("adautomix", "status", "quick")
    assert refused.returncode == 2
    assert "adautomix notebooks DIR" in refused.stderr
    assert run("adautomix", "notebooks", "workbook").returncode == 0
    assert (here / "workbook" / "notebooks" / "00_index.ipynb").exists()
    checked = "from adautomix.lessons import check_mixblock; print(check_mixblock(lambda features, weights: features))"
    assert "authors" not in run("python", "-c", checked).stderr  # their file is in the wheel
    assert run("python", "-c", checked).returncode == 0
    again = run("adautomix", "notebooks", "workbook")
    assert again.returncode == 2
    assert "not an empty folder" in again.stderr
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []
