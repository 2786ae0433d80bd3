"""Accuracy in closed form, and what evaluators refuse."""

from dataclasses import replace

import pytest
import torch
from conftest import tiny_batch

import adautomix.evaluate.runs as runs_module
import adautomix.training.loop as trainer
from adautomix.config import TrainConfig
from adautomix.data.loader import eval_loader
from adautomix.evaluate.accuracy import Predictions, accuracy_metrics, predict
from adautomix.evaluate.runs import evaluate_run
from adautomix.training.loop import train
from adautomix.utils.errors import UserError


def logits_with_rank(labels, ranks, classes):
    """Return logits in which the label of image i is the ranks[i]-th best (0 is best)."""
    logits = -torch.arange(classes, dtype=torch.float).repeat(len(labels), 1)
    for i, (label, rank) in enumerate(zip(labels.tolist(), ranks, strict=True)):
        order = [k for k in range(classes) if k != label]
        order.insert(rank, label)
        logits[i, order] = -torch.arange(classes, dtype=torch.float)
    return logits


def test_accuracy_counts_ranks_and_classes():
    labels = torch.tensor([0, 0, 1, 2])
    result = accuracy_metrics(Predictions(logits_with_rank(labels, [0, 3, 0, 6], 7), labels))
    assert result["top1"] == 50.0
    assert result["top5"] == 75.0
    assert result["per_class"] == [50.0, 100.0, 0.0, None, None, None, None]


def test_loss_is_the_mean_cross_entropy():
    labels = torch.tensor([0, 1])
    result = accuracy_metrics(Predictions(torch.zeros(2, 4), labels))
    assert result["loss"] == pytest.approx(torch.tensor(4.0).log().item())


def test_predict_sees_every_image_in_order_whatever_the_batches(student, tiny_dataset):
    student.eval()
    one, many = (predict(student, eval_loader(tiny_dataset, b, device=torch.device("cpu"))) for b in (20, 3))
    assert torch.equal(one.labels, tiny_dataset.test.labels)
    torch.testing.assert_close(one.logits, many.logits)


def test_predict_changes_nothing_and_leaves_no_graph(student):
    student.eval()
    before = {k: v.clone() for k, v in student.state_dict().items()}
    predictions = predict(student, [tiny_batch()])
    assert not predictions.logits.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    assert all(p.grad is None for p in student.parameters())


def test_a_model_in_train_mode_is_refused(student):
    student.eval()
    student.net.body[1].train()
    with pytest.raises(UserError, match=r"training mode \(e.g. net.body.1\): call model.eval\(\)"):
        predict(student, [tiny_batch()])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(2, 3, 8, 8), r"pixels must be in \[0,1\], got"),
        (torch.full((2, 3, 8, 8), float("nan")), r"pixels must be in \[0,1\]"),
        (torch.zeros(2, 1, 8, 8), r"images must be float \[B,3,H,W\]"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "got torch.uint8"),
    ],
)
def test_images_that_are_no_pixels_are_refused(student, x, message):
    with pytest.raises(UserError, match=message):
        predict(student.eval(), [(x, torch.zeros(2, dtype=torch.long))])


def test_float_rounding_is_tolerated_and_no_images_are_not(student):
    student.eval()
    assert len(predict(student, [(torch.full((1, 3, 8, 8), 1 + 5e-7), torch.zeros(1, dtype=torch.long))]).labels) == 1
    with pytest.raises(UserError, match="no test images"):
        predict(student, [])


@pytest.fixture
def run(tmp_path, tiny_dataset, monkeypatch):
    monkeypatch.setattr(trainer, "dataset_for", lambda config: tiny_dataset)
    monkeypatch.setattr(runs_module, "dataset_for", lambda config: tiny_dataset)
    return train(TrainConfig(width=4, epochs=2, batch_size=8, device="cpu"), tmp_path, log=str)


def test_evaluating_a_run_stores_what_training_saw(run):
    evaluate_run(run, device="cpu", log=str)
    for role in ("student", "teacher"):
        stored = run.metrics("accuracy", role)
        assert stored["value"]["top1"] == pytest.approx(run.history[f"{role}_top1"].iloc[-1])
        assert stored["n_images"] == 20
        assert {"settings", "protocol", "device", "written"} <= set(stored)


def test_results_already_there_are_kept_unless_forced(run):
    evaluate_run(run, device="cpu", log=str)
    stored = run.metrics("accuracy", "student")
    run.write_metrics("accuracy", "student", stored | {"value": {"top1": -1.0}})
    lines = []
    evaluate_run(run, device="cpu", log=lines.append)
    assert "already evaluated" in lines[0]
    assert run.metrics("accuracy", "student")["value"]["top1"] == -1.0
    evaluate_run(run, device="cpu", force=True, log=str)
    assert run.metrics("accuracy", "student")["value"]["top1"] >= 0


def test_a_run_on_other_images_is_left_out_and_said_so(run, tiny_dataset, monkeypatch):
    monkeypatch.setattr(runs_module, "dataset_for", lambda config: replace(tiny_dataset, fingerprint="other"))
    lines = []
    assert not evaluate_run(run, device="cpu", log=lines.append)
    assert "no longer holds the images it was trained on" in lines[0]
    assert run.metrics("accuracy", "student") is None


def test_unknown_evaluators_are_refused(run):
    with pytest.raises(UserError, match="unknown evaluator 'acuracy'; did you mean 'accuracy'"):
        evaluate_run(run, ["acuracy"], device="cpu", log=str)


def test_costly_evaluators_can_take_a_sample_and_say_so(run):
    names = ("accuracy", "calibration", "fgsm", "pgd", "corruption", "occlusion", "released")
    evaluate_run(run, names, device="cpu", roles=("student",), sample=7, log=str)
    counts = {name: run.metrics(name, "student")["n_images"] for name in names}
    assert counts == dict.fromkeys(names, 7) | {"accuracy": 20, "calibration": 20}
    assert run.metrics("fgsm", "student")["images"] == "a fixed random sample"
    assert run.metrics("accuracy", "student")["images"] == "all"
    assert len(run.metrics("released", "student")["value"]["occlusion"]) == 11
    with pytest.raises(UserError, match="sample must be 1 or more, got 0"):
        evaluate_run(run, sample=0, log=str)


def test_the_sample_is_the_same_images_with_their_own_numbers(tiny_dataset):
    few = list(eval_loader(tiny_dataset, 3, device=torch.device("cpu"), sample=7))
    again = list(eval_loader(tiny_dataset, 7, device=torch.device("cpu"), sample=7))
    index = torch.cat([batch.index for batch in few])
    assert torch.equal(index, again[0].index)
    assert len(index.unique()) == 7
    assert torch.equal(again[0].y, tiny_dataset.test.labels[index])
    assert torch.equal((again[0].x * 255).round().byte(), tiny_dataset.test.images[index])
