"""A Run folder that an older commit wrote (tests/golden/run): is it still found, loaded, evaluated, known as done?"""

import shutil

import pytest
import torch
from helpers import ROOT

from adautomix.data import dataset_for, eval_loader
from adautomix.evaluate.accuracy import evaluate
from adautomix.runs.networks import load_classifier, load_method
from adautomix.runs.run import ROLES, find_runs
from adautomix.training.loop import train
from adautomix.utils.files import read_json, write_json

FOLDER = ROOT / "tests" / "golden" / "run"


@pytest.fixture
def run():
    (found,) = find_runs(FOLDER, method="adautomix")
    return found


@pytest.mark.parametrize("role", ROLES)
def test_its_networks_give_the_accuracy_stored_with_them(run, role):
    model = load_classifier(run, role)
    value = evaluate(model, eval_loader(dataset_for(run.config), device=torch.device("cpu")))["value"]
    stored = run.metrics("accuracy", role)["value"]
    assert value["top1"] == pytest.approx(stored["top1"], abs=0.2)  # an image on the edge may fall either way
    assert value["loss"] == pytest.approx(stored["loss"], rel=1e-4)


def test_its_generator_and_history_are_read(run):
    assert load_method(run).generator.query.weight.abs().max() > 0
    assert run.history["epoch"].tolist() == [1]


def test_training_it_again_finds_it_done(run, tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "runs") / run.path.relative_to(FOLDER)
    lines = []
    assert train(run.config, tmp_path / "runs", log=lines.append).path == folder
    assert "already trained" in lines[0]


def test_runs_that_are_older_than_a_field_are_found_by_its_default(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "runs")
    (run,) = find_runs(folder, method="adautomix")
    kept = read_json(run.path / "config.json")
    kept["config"].pop("eval_precision", None)
    write_json(run.path / "config.json", kept)
    assert [found.path for found in find_runs(folder, method="adautomix", eval_precision="float32")] == [run.path]
    assert find_runs(folder, eval_precision=["bfloat16"], method="adautomix") == []
    assert len(find_runs(folder, root=run.config.root, method="adautomix")) == 1
