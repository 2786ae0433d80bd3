"""Accuracy in closed form, and what evaluators refuse."""

import pytest
import torch
from helpers.tiny import tiny_batch

from adautomix.data.loader import eval_loader
from adautomix.evaluate.accuracy import Predictions, accuracy_metrics, predict
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
    assert result["balanced"] == 50.0


def test_balanced_counts_every_class_alike_however_many_images_it_has():
    labels = torch.tensor([0] * 8 + [1, 1])
    result = accuracy_metrics(Predictions(logits_with_rank(labels, [0] * 8 + [1, 1], 3), labels))
    assert (result["top1"], result["balanced"]) == (80.0, 50.0)


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
    with pytest.raises(UserError, match=r"net.body.1\): call model.eval"):
        predict(student, [tiny_batch()])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(2, 3, 8, 8), "pixels must be in"),
        (torch.full((2, 3, 8, 8), float("nan")), "pixels must be in"),
        (torch.zeros(2, 1, 8, 8), r"\(2, 1, 8, 8\)"),
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


@pytest.mark.parametrize("classes", [3, 10, 100])
def test_of_equal_logits_the_first_is_the_answer_as_in_the_other_evaluators(classes):
    labels = torch.arange(classes)
    result = accuracy_metrics(Predictions(torch.zeros(classes, classes), labels))
    assert result["per_class"] == [100.0] + [0.0] * (classes - 1)
    assert result["top5"] >= result["top1"] == pytest.approx(100 / classes)
