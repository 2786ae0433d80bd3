"""Means over corruptions: what is averaged, and what is divided by what."""

import pytest
import torch

from adautomix.evaluate.corrupted import CorruptionTable, corruption_table, evaluate
from adautomix.evaluate.corruptions import CORRUPTIONS15, corrupt
from adautomix.evaluate.corruptions.sources import Made, default_table
from adautomix.utils.errors import UserError


def batch(count=6):
    rng = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, 8, 8, generator=rng), torch.arange(count) % 5, torch.arange(count)


def test_the_mean_is_over_severities_and_then_corruptions():
    table = CorruptionTable({"a": [90.0, 50.0], "b": [40.0, 20.0]}, 10)
    assert table.mean_accuracy() == 50
    assert table.mce() == 50
    assert table.mce(table) == 100


def test_mce_divides_mean_errors_and_does_not_average_ratios():
    ours, theirs = CorruptionTable({"a": [90.0, 40.0]}, 1), CorruptionTable({"a": [80.0, 20.0]}, 1)
    assert ours.mce(theirs) == pytest.approx(70.0)  # (10 + 60) / (20 + 80); the mean of 1/2 and 3/4 would be 62.5
    with pytest.raises(UserError, match="other corruptions"):
        ours.mce(CorruptionTable({"b": [50.0, 50.0]}, 1))


def test_a_cell_is_the_accuracy_on_those_corrupted_images(student):
    student.eval()
    x, y, index = batch()
    table = corruption_table(student, [(x[:4], y[:4], index[:4]), (x[4:], y[4:], index[4:])], names=("contrast", "fog"))
    for name in ("contrast", "fog"):
        for severity in (1, 5):
            images = corrupt(x, name, severity, table="cifar", seed=0, index=index)
            expected = 100 * (student(images).logits["one"].argmax(1) == y).float().mean().item()
            assert table.top1[name][severity - 1] == pytest.approx(expected)
    assert table.n == 6


def test_the_stored_result_has_both_means_and_every_cell(student):
    result = evaluate(student.eval(), [batch()])
    cells = result["value"]["table"]
    assert len(cells) == 19
    assert all(len(row) == 5 for row in cells.values())
    standard = sum(sum(cells[name]) / 5 for name in CORRUPTIONS15) / 15
    assert result["value"]["top1"] == pytest.approx(standard)
    assert result["value"]["released_top1"] == pytest.approx(sum(sum(row) / 5 for row in cells.values()) / 19)
    assert result["settings"]["source"] == "regenerated"


def test_the_table_follows_the_images_size_and_no_images_are_refused(student):
    assert [default_table(side) for side in (16, 32, 48, 64, 224)] == ["cifar", "cifar", "tiny", "tiny", "imagenet"]
    with pytest.raises(UserError, match="no test images"):
        corruption_table(student.eval(), [])


def test_at_64_px_the_table_is_tiny_imagenets_and_imagenets_may_be_asked_for():
    x, index = torch.full((1, 3, 64, 64), 0.4), torch.arange(1)
    noise = [Made(table)(x, index, "gaussian_noise", 3) for table in (None, "tiny", "imagenet")]
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
