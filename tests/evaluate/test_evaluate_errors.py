"""What cannot be evaluated is named, by run and evaluator, and stops nothing else."""

import shutil
from dataclasses import replace

import pytest
import torch
from test_cli import call

import adautomix.evaluate.runs as runs_module
from adautomix.config import TrainConfig
from adautomix.evaluate.runs import evaluate_run
from adautomix.runs.checkpoint import load, save
from adautomix.runs.run import Run
from adautomix.training.loop import train
from adautomix.utils.errors import UserError


@pytest.fixture
def run(tmp_path, tiny, tiny_dataset, monkeypatch):
    monkeypatch.setattr(runs_module, "dataset_for", lambda config: tiny_dataset)
    return train(TrainConfig(width=4, epochs=1, batch_size=8, device="cpu"), tmp_path / "runs", log=str)


@pytest.fixture
def diverged(run):
    """Return another run, first in order, whose student has weights that are not finite."""
    copied = Run(shutil.copytree(run.path, run.path.parent / "a-diverged"))
    state = load(copied.checkpoint)
    state["student"]["heads.one.bias"].fill_(torch.nan)
    save(copied.checkpoint, state)
    return copied


def test_an_evaluator_that_fails_is_named_and_the_others_are_stored(run, tiny_dataset, monkeypatch):
    monkeypatch.setattr(runs_module, "dataset_for", lambda config: replace(tiny_dataset, name="cifar10"))
    with pytest.raises(UserError) as caught:
        evaluate_run(run, ("corruption", "accuracy"), device="cpu", corrupted="nowhere", log=str)
    (line,) = str(caught.value).splitlines()  # one for both roles
    assert line.startswith(f"{run.id}: corruption: ")
    assert "no such file" in line
    assert run.metrics("accuracy", "teacher")["n_images"] == 20
    assert run.metrics("corruption", "student") is None


def test_a_data_set_that_is_gone_is_named_with_the_run(run, monkeypatch):
    def gone(config):
        raise UserError("there is no directory x")

    monkeypatch.setattr(runs_module, "dataset_for", gone)
    with pytest.raises(UserError, match=f"^{run.id}: there is no directory x$"):
        evaluate_run(run, device="cpu", log=str)


def test_one_runs_error_leaves_the_other_runs_evaluated_and_gives_code_1(run, diverged, capsys):
    assert call("evaluate", str(run.path.parents[1]), "--evaluators", "accuracy", "fgsm", "--device", "cpu") == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in errors] == [[diverged.id, "accuracy"], [diverged.id, "fgsm"]]
    assert all("outputs are not finite" in line for line in errors)
    assert diverged.metrics("accuracy", "student") is None
    assert diverged.metrics("accuracy", "teacher")["n_images"] == 20
    assert run.metrics("fgsm", "student")["n_images"] == 20


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--evaluators"], "no evaluator is named: give one or more of accuracy, calibration"),
        (["--evaluators", "acuracy"], "unknown evaluator 'acuracy'; did you mean 'accuracy'"),
        (["--sample", "0"], "sample must be 1 or more, got 0"),
        (["--device", "cdua"], "device 'cdua' cannot be used here"),
    ],
)
def test_a_mistake_for_every_run_is_one_message_and_code_2(run, diverged, capsys, args, message):
    assert call("evaluate", str(run.path.parents[1]), *args) == 2
    assert capsys.readouterr().err.count(message) == 1


def test_an_empty_list_of_evaluators_is_refused(run):
    with pytest.raises(UserError, match="no evaluator is named"):
        evaluate_run(run, (), log=str)
