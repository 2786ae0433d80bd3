"""The Run that training leaves: which config is it, what can be loaded from it, and is it trained only once?"""

import os
from unittest.mock import Mock

import pytest
import torch
from helpers.tiny import tiny_batch
from helpers.training import tiny_config

from adautomix.data import eval_loader
from adautomix.evaluate.accuracy import evaluate
from adautomix.evaluate.runs import evaluate_run
from adautomix.runs.networks import load_classifier
from adautomix.runs.run import ROLES, Run, find_runs
from adautomix.training.loop import train
from adautomix.training.steps import Training
from adautomix.utils.errors import UserError
from adautomix.utils.task import LISTED, VARIABLE


@pytest.mark.usefixtures("tiny")
def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    monkeypatch.setattr(Training, "step", lambda *args: pytest.fail("trained again"))
    lines = []
    assert train(tiny_config(epochs=1), tmp_path, log=lines.append).path == run.path
    assert "already trained" in lines[0]


@pytest.mark.usefixtures("tiny")
def test_a_training_begins_with_what_is_trained_and_where(tmp_path):
    lines = []
    run = train(tiny_config(epochs=2), tmp_path, log=lines.append)
    images = run.info["dataset"]
    assert lines[0].startswith(f"{run.id}: {images['n_train']} training images of {images['size']} px, ")
    assert "; 2 epochs of " in lines[0]
    assert lines[0].endswith(" on cpu")
    assert lines[1].startswith("epoch   1/2")


@pytest.mark.usefixtures("tiny")
def test_a_run_that_was_cut_off_and_differs_in_a_setting_is_told(tmp_path):
    """Whoever changes a flag and expects the run to go on is told that it does not; a run in hand is not meant."""

    def told(**changed):
        lines = []
        train(tiny_config(**{"epochs": 1} | changed), tmp_path, log=lines.append)
        return [line for line in lines if "is unfinished" in line]

    def killed(run, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(epochs=2), tmp_path, log=str, on_epoch=killed)
    (cut,) = find_runs(tmp_path, unfinished=True)
    assert told() == [f"{cut.id} is unfinished and another run (epochs 2, here 1): left as it is, this one is new"]
    assert told(seed=1) == []
    with cut.lock():
        assert told(label_smoothing=0.1) == []
    (cut.path / "config.json").write_text("{")
    assert told(label_smoothing=0.2) == []


@pytest.mark.usefixtures("tiny")
def test_a_longer_training_of_what_is_done_says_that_it_begins_anew(tmp_path):
    def told(**changed):
        lines = []
        train(tiny_config(**changed), tmp_path, log=lines.append)
        return [line for line in lines if "another schedule" in line]

    done = train(tiny_config(epochs=1), tmp_path, log=str)
    length = "1 epoch, here 2): another schedule, so this one begins anew"
    assert told(epochs=2) == [f"{done.id} is the same but for its length ({length}"]
    assert told(epochs=2, label_smoothing=0.1) == []
    (done.path / "config.json").write_text("{")  # is no reason not to train another
    assert len(told(epochs=3)) == 1


def test_who_waits_for_a_run_says_for_whom(tmp_path):
    run, told = Run(tmp_path / "run"), []
    with run.lock(), pytest.raises(UserError, match="wait for it or stop it"), Run(run.path).lock(1.2, told.append):
        pytest.fail("the lock was given twice")
    assert len(told) == 1
    assert f"another process is training {run.path} (process {os.getpid()} on " in told[0]
    assert told[0].endswith("; waiting up to 1.2 s for it")


def test_a_config_is_no_dictionary(tmp_path):
    with pytest.raises(UserError, match=r"train takes a TrainConfig, .* got dict"):
        train({"data": "digits"}, tmp_path)


@pytest.mark.usefixtures("tiny")
def test_default_and_spelled_out_options_are_the_same_run(tmp_path):
    first = train(tiny_config(epochs=1), tmp_path, log=str)
    second = train(tiny_config(epochs=1, options={"alpha": 1}), tmp_path, log=str)
    assert first.path == second.path
    assert first.config.options == {"alpha": 1.0, "per_sample": False}


@pytest.mark.usefixtures("tiny")
def test_a_run_trained_for_the_runner_is_listed_with_its_task(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for _ in range(2):
        run = train(tiny_config(epochs=1), tmp_path / "runs", log=str)
    assert [(tmp_path / line).resolve() for line in (tmp_path / LISTED).read_text().split()] == [run.path] * 2


def test_two_processes_do_not_train_one_run(tmp_path):
    run = Run(tmp_path / "run")
    with run.lock(), pytest.raises(UserError, match="another process is training"), Run(run.path).lock(seconds=0.1):
        pytest.fail("the lock was given twice")


@pytest.mark.usefixtures("tiny")
def test_a_run_killed_after_its_last_checkpoint_still_gets_its_accuracy(tmp_path, monkeypatch):
    whole = train(tiny_config(epochs=1), tmp_path / "whole", log=str)
    with monkeypatch.context() as patched:
        patched.setattr(Training, "write_accuracy", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(epochs=1), tmp_path / "killed", log=str)
    killed = train(tiny_config(epochs=1), tmp_path / "killed", log=str)
    for role in ROLES:
        assert killed.metrics("accuracy", role)["value"] == whole.metrics("accuracy", role)["value"]


@pytest.mark.usefixtures("tiny")
def test_student_and_teacher_of_a_run_can_be_loaded_and_are_frozen(tmp_path):
    run = train(tiny_config(epochs=2), tmp_path, log=str)
    x, _ = tiny_batch()
    student, teacher = (load_classifier(run, role) for role in ("student", "teacher"))
    assert not student.training
    assert not any(p.requires_grad for p in student.parameters())
    assert not torch.equal(student(x).logits["one"], teacher(x).logits["one"])
    with pytest.raises(UserError, match="role must be student or teacher"):
        load_classifier(run, "best")
    (run.path / "DONE").unlink()
    with pytest.raises(UserError, match="not trained to its end"):
        load_classifier(run)


@pytest.mark.usefixtures("tiny")
def test_the_final_accuracy_is_stored_as_the_evaluator_would_and_not_measured_twice(
    tmp_path, tiny_dataset, monkeypatch
):
    run = train(tiny_config(epochs=2), tmp_path, log=str)
    batches = eval_loader(tiny_dataset, device=torch.device("cpu"))
    for role in ROLES:
        stored = run.metrics("accuracy", role)
        ours = evaluate(load_classifier(run, role), batches)
        assert stored["value"] == pytest.approx(ours["value"])
        assert all(stored[key] == ours[key] for key in ("settings", "n_images", "protocol"))
        assert stored["value"]["top1"] == run.history[f"{role}_top1"].iloc[-1]
    monkeypatch.setattr("adautomix.evaluate.runs.dataset_for", lambda config: pytest.fail("measured again"))
    lines = []
    evaluate_run(run, ["accuracy"], log=lines.append)
    assert lines == [f"{run.id}: already evaluated"]
