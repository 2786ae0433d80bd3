"""Evaluating Runs: what is stored, kept or evaluated anew, and which errors are named by run and evaluator."""

import shutil
from dataclasses import replace
from itertools import product

import pytest
import torch
from helpers.commands import call

import adautomix.evaluate.runs as runs
from adautomix.config import TrainConfig
from adautomix.data.loader import eval_loader
from adautomix.evaluate import ALL_EVALUATORS
from adautomix.evaluate.runs import evaluate_run
from adautomix.runs.checkpoint import load, save
from adautomix.runs.run import Run
from adautomix.training.loop import train
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_json


@pytest.fixture
def run(tmp_path, tiny, tiny_dataset, monkeypatch):
    """Return a trained run."""
    monkeypatch.setattr(runs, "dataset_for", lambda config: tiny_dataset)
    return train(TrainConfig(width=4, epochs=1, batch_size=8, device="cpu"), tmp_path / "runs", log=str)


def test_evaluating_a_run_stores_what_training_saw(run):
    evaluate_run(run, device="cpu", force=True, log=str)
    for role in ("student", "teacher"):
        stored = run.metrics("accuracy", role)
        assert stored["value"]["top1"] == pytest.approx(run.history[f"{role}_top1"].iloc[-1])
        assert stored["n_images"] == 20
        assert {"settings", "protocol", "device", "written"} <= set(stored)


def test_results_already_there_are_kept_unless_forced(run):
    evaluate_run(run, device="cpu", log=str)
    stored = run.metrics("accuracy", "student")
    run.write_metrics("accuracy", "student", stored | {"value": stored["value"] | {"top1": -1.0}})
    lines = []
    evaluate_run(run, device="cpu", log=lines.append)
    assert "already evaluated" in lines[0]
    assert run.metrics("accuracy", "student")["value"]["top1"] == -1.0
    evaluate_run(run, device="cpu", force=True, log=str)
    assert run.metrics("accuracy", "student")["value"]["top1"] >= 0


def test_a_run_on_other_images_is_left_out_and_said_so(run, tiny_dataset, monkeypatch):
    monkeypatch.setattr(runs, "dataset_for", lambda config: replace(tiny_dataset, fingerprint="other"))
    lines = []
    assert not evaluate_run(run, ["calibration"], device="cpu", log=lines.append)
    assert "no longer holds the images it was trained on" in lines[0]
    assert run.metrics("calibration", "student") is None


def test_costly_evaluators_can_take_a_sample_and_say_so(run):
    names = ("accuracy", "calibration", "fgsm", "pgd", "corruption", "occlusion", "released")
    evaluate_run(run, names, device="cpu", roles=("student",), sample=7, log=str)
    counts = {name: run.metrics(name, "student")["n_images"] for name in names}
    assert counts == dict.fromkeys(names, 7) | {"accuracy": 20, "calibration": 20}
    assert run.metrics("fgsm", "student")["images"] == "a fixed random sample"
    assert run.metrics("accuracy", "student")["images"] == "all"
    assert len(run.metrics("released", "student")["value"]["occlusion"]) == 11
    with pytest.raises(UserError, match="got 0"):
        evaluate_run(run, sample=0, log=str)


def test_the_sample_is_the_same_images_with_their_own_numbers(tiny_dataset):
    few = list(eval_loader(tiny_dataset, 3, device=torch.device("cpu"), sample=7))
    again = list(eval_loader(tiny_dataset, 7, device=torch.device("cpu"), sample=7))
    index = torch.cat([batch.index for batch in few])
    assert torch.equal(index, again[0].index)
    assert len(index.unique()) == 7
    assert torch.equal(again[0].y, tiny_dataset.test.labels[index])
    assert torch.equal((again[0].x * 255).round().byte(), tiny_dataset.test.images[index])


def test_evaluators_of_clean_images_share_one_pass_and_give_what_each_gives_alone(run, tiny_dataset, monkeypatch):
    passes, predict_finite = [], runs.predict_finite
    monkeypatch.setattr(runs, "predict_finite", lambda *given: passes.append(given) or predict_finite(*given))
    evaluate_run(run, tuple(runs.OF_PREDICTIONS), device="cpu", force=True, log=str)
    assert len(passes) == len(run.roles) == 2
    for name, role in product(runs.OF_PREDICTIONS, run.roles):
        batches = eval_loader(tiny_dataset, device=torch.device("cpu"), workers=0)
        alone = ALL_EVALUATORS[name](runs.load_classifier(run, role, torch.device("cpu")), batches)
        assert run.metrics(name, role)["value"] == alone["value"]
    losses = [run.metrics("accuracy", role)["value"]["loss"] for role in run.roles]
    assert losses[0] != losses[1]  # each role has a pass of its own


@pytest.fixture
def diverged(run):
    """Return another run, first in order, whose student has weights that are not finite."""
    copied = Run(shutil.copytree(run.path, run.path.parent / "a-diverged"))
    state = load(copied.checkpoint)
    state["student"]["heads.one.bias"].fill_(torch.nan)
    save(copied.checkpoint, state)
    return copied


def test_an_evaluator_that_fails_is_named_and_the_others_are_stored(run, tiny_dataset, monkeypatch):
    monkeypatch.setattr(runs, "dataset_for", lambda config: replace(tiny_dataset, name="cifar10"))
    with pytest.raises(UserError) as caught:
        evaluate_run(run, ("corruption", "calibration"), device="cpu", corrupted="nowhere", log=str)
    (line,) = str(caught.value).splitlines()  # one for both roles
    assert line.startswith(f"{run.id}: corruption: ")
    assert "No such file" in line
    assert run.metrics("calibration", "teacher")["n_images"] == 20
    assert run.metrics("corruption", "student") is None


def test_a_data_set_that_is_gone_is_named_with_the_run(run, monkeypatch):
    def gone(config):
        raise UserError("there is no directory x")

    monkeypatch.setattr(runs, "dataset_for", gone)
    with pytest.raises(UserError, match=f"^{run.id}: there is no directory x$"):
        evaluate_run(run, ["calibration"], device="cpu", log=str)


def evaluated(run, *args):
    """Return the code with which the command line evaluates the runs beside this one."""
    return call("evaluate", str(run.path.parents[1]), *args)


def test_one_runs_error_leaves_the_other_runs_evaluated_and_gives_code_1(run, diverged, capsys):
    assert evaluated(run, "--evaluators", "calibration", "fgsm", "--device", "cpu") == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in errors] == [[diverged.id, "calibration"], [diverged.id, "fgsm"]]
    assert all("outputs are not finite" in line for line in errors)
    assert diverged.metrics("calibration", "student") is None
    assert diverged.metrics("calibration", "teacher")["n_images"] == 20
    assert run.metrics("fgsm", "student")["n_images"] == 20


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--evaluators"], "give one or more of accuracy, calibration"),
        (["--evaluators", "acuracy"], "'acuracy'; did you mean 'accuracy'"),
        (["--sample", "0"], "got 0"),
        (["--device", "cdua"], "'cdua'"),
    ],
)
def test_a_mistake_for_every_run_is_one_message_and_code_2(run, diverged, capsys, args, message):
    assert evaluated(run, *args) == 2
    assert capsys.readouterr().err.count(message) == 1


@pytest.mark.parametrize(
    ("names", "message"), [((), "no evaluator is named"), (["acuracy"], "did you mean 'accuracy'")]
)
def test_no_and_unknown_evaluators_are_refused(run, names, message):
    with pytest.raises(UserError, match=message):
        evaluate_run(run, names, log=str)


def test_a_folder_and_one_name_will_do(run):
    evaluate_run(str(run.path), "calibration", roles="student", device="cpu", log=str)
    assert run.metrics("calibration", "student") is not None
    assert run.metrics("calibration", "teacher") is None


def test_an_imported_run_is_given_its_images_once_whoever_evaluates_it_first(run, tiny_dataset):
    info = run.info | {"imported": {"file": "x.pth"}, "dataset": run.info["dataset"] | {"fingerprint": None}}
    write_json(run.path / "config.json", info)
    first, second = Run(run.path), Run(run.path)
    assert second.info["dataset"]["fingerprint"] is None  # both have read it before either has images
    runs.adopt(first, tiny_dataset)
    first.write_metrics("fgsm", "student", {"value": {"top1": 1.0}, "n_images": 8})
    runs.adopt(second, tiny_dataset)
    assert second.info["dataset"]["fingerprint"] == tiny_dataset.fingerprint
    assert second.metrics("fgsm", "student")["value"]["top1"] == 1.0
