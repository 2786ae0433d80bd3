"""ECE and MCE in closed form, the released variant, and reliability's bins."""

import pytest
import torch

from adautomix.evaluate.calibration import calibration_metrics, ece_released, evaluate
from adautomix.utils.errors import UserError


def two_classes(conf, right):
    """Return probabilities of two classes with the given confidences, and labels that make `right` of them right."""
    conf = torch.tensor(conf, dtype=torch.float64)
    return torch.stack([conf, 1 - conf], dim=1), (~torch.tensor(right)).long()


def ece(conf, right, bins=15):
    return calibration_metrics(*two_classes(conf, right), kind="probabilities", bins=bins).ece


def test_eighty_percent_sure_and_eighty_percent_right_is_calibrated():
    assert ece([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0, abs=1e-12)


def test_always_sure_and_half_right_is_off_by_a_half():
    assert ece([1.0] * 10, [True, False] * 5) == pytest.approx(0.5)


def test_a_confidence_of_one_lies_in_the_last_bin():
    # A bin of its own for 1.0 would give .52.
    result = calibration_metrics(*two_classes([0.96, 1.0], [True, False]), kind="probabilities")
    assert result.ece == pytest.approx(0.48)
    assert result.counts.tolist() == [0] * 14 + [2]


@pytest.mark.parametrize("k", range(8, 15))
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(k):
    result = calibration_metrics(*two_classes([k / 15], [True]), kind="probabilities")
    assert result.counts.nonzero().flatten().tolist() == [k - 1]


def test_the_largest_gap_is_the_mce_and_counts_add_up():
    result = calibration_metrics(*two_classes([0.9] * 4 + [0.6] * 2, [True] * 4 + [False] * 2), kind="probabilities")
    assert result.mce == pytest.approx(0.6)
    assert result.ece == pytest.approx((4 * 0.1 + 2 * 0.6) / 6)
    assert result.counts.sum() == 6
    assert result.accuracy.isnan().sum() == 13


def test_logits_and_their_probabilities_agree_and_order_does_not_matter():
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(300, 5, generator=rng), torch.randint(5, (300,), generator=rng)
    first = calibration_metrics(logits, labels, kind="logits")
    order = torch.randperm(300, generator=rng)
    second = calibration_metrics(logits[order].softmax(1), labels[order], kind="probabilities")
    assert first.ece == pytest.approx(second.ece, abs=1e-6)
    assert torch.equal(first.counts, second.counts)


def test_uniform_logits_are_sure_of_nothing():
    result = calibration_metrics(torch.zeros(10, 5), torch.arange(10) % 5, kind="logits")
    assert result.ece == pytest.approx(0, abs=1e-12)  # 1 in 5 sure, 1 in 5 right


def test_torchmetrics_agrees_where_no_confidence_is_one():
    metrics = pytest.importorskip("torchmetrics.functional.classification")
    rng = torch.Generator().manual_seed(1)
    logits, labels = 2 * torch.randn(1000, 10, generator=rng), torch.randint(10, (1000,), generator=rng)
    for norm, value in zip(("l1", "max"), ("ece", "mce"), strict=True):
        theirs = metrics.multiclass_calibration_error(logits.softmax(1), labels, 10, n_bins=15, norm=norm).item()
        assert getattr(calibration_metrics(logits, labels, kind="logits"), value) == pytest.approx(theirs, abs=1e-5)


def test_the_released_ece_sorts_the_gaps_away():
    conf, right = [0.95] * 100 + [0.55] * 50, [True] * 20 + [False] * 80 + [True] * 45 + [False] * 5
    values, labels = two_classes(conf, right)
    assert ece(conf, right, bins=10) == pytest.approx(0.6167, abs=1e-4)
    assert ece_released(values, labels, kind="probabilities") == pytest.approx(0.0333, abs=1e-4)


def test_the_stored_result_has_percent_and_every_bin(student):
    x, y = torch.rand(7, 3, 8, 8), torch.arange(7) % 5
    result = evaluate(student.eval(), [(x, y)])
    assert sum(b["count"] for b in result["value"]["bins"]) == result["n_images"] == 7
    assert 0 <= result["value"]["ece"] <= result["value"]["mce"] <= 100


@pytest.mark.parametrize(
    ("values", "labels", "options", "message"),
    [
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), {}, r"got \(0, 3\)"),
        (torch.zeros(2, 3), torch.tensor([0, 1]), {"kind": "scores"}, "got 'scores'"),
        (torch.zeros(2, 3), torch.tensor([0, 1]), {"kind": "probabilities"}, "sum to 1"),
        (torch.zeros(2, 3), torch.tensor([0, 3]), {}, "labels must be 0 to 2"),
        (torch.full((2, 3), float("nan")), torch.tensor([0, 1]), {}, "not finite"),
        (torch.zeros(2, 3), torch.tensor([0, 1]), {"bins": 0}, "got 0"),
    ],
)
def test_what_has_no_calibration_is_refused(values, labels, options, message):
    with pytest.raises(UserError, match=message):
        calibration_metrics(values, labels, **{"kind": "logits"} | options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_probabilities_of_half_precision_are_taken_and_ones_that_do_not_sum_to_1_are_not(dtype):
    rng = torch.Generator().manual_seed(0)
    values, labels = 2 * torch.randn(50, 100, generator=rng), torch.randint(100, (50,), generator=rng)
    shares = values.to(dtype).softmax(dim=1)
    assert (shares.double().sum(dim=1) - 1).abs().max() > 1e-4
    expected = calibration_metrics(values, labels, kind="logits").ece
    assert calibration_metrics(shares, labels, kind="probabilities").ece == pytest.approx(expected, abs=0.02)
    with pytest.raises(UserError, match="sum to 1"):
        calibration_metrics(0.98 * shares, labels, kind="probabilities")


@pytest.mark.parametrize(("filled", "equal"), [((0.55, 0.65, 0.75), True), ((0.55, 0.75, 0.85), False)])
def test_the_released_ece_is_the_ece_unless_a_bin_above_the_lowest_filled_one_is_empty(filled, equal):
    conf = [c for c in filled for _ in range(20)]
    right = [i < 20 * (c - 0.05) for c in filled for i in range(20)]
    values, labels = two_classes(conf + [0.95] * 20, right + [True] * 19 + [False])
    if equal:
        values, labels = two_classes(
            [*conf, *[0.85] * 20, *[0.95] * 20], right + [True] * 16 + [False] * 4 + [True] * 20
        )
    standard = calibration_metrics(values, labels, kind="probabilities", bins=10).ece
    assert (ece_released(values, labels, kind="probabilities") == pytest.approx(standard)) is equal
