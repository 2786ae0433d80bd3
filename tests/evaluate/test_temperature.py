"""Temperature scaling against scipy's minimiser, and what it must leave alone."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

from adautomix.evaluate.calibration import calibration_metrics
from adautomix.evaluate.temperature import cross_fit, fit_temperature
from adautomix.utils.errors import UserError


def calibrated(count, classes=4, seed=0):
    """Return logits, and labels drawn from the very probabilities that they claim."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=rng, dtype=torch.float64)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=rng)[:, 0]


def by_scipy(logits, labels):
    def loss(log_t):
        return F.cross_entropy(logits.double() / math.exp(log_t), labels).item()

    return math.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}).x)


@pytest.mark.parametrize(("seed", "scale", "classes"), [(0, 1.0, 4), (1, 7.0, 2), (2, 0.2, 10), (3, 30.0, 3)])
def test_the_temperature_is_the_one_that_scipy_finds(seed, scale, classes):
    logits, labels = calibrated(60, classes, seed)
    logits = (scale * logits).float()
    assert fit_temperature(logits, labels) == pytest.approx(by_scipy(logits, labels), rel=1e-5)


def test_the_cross_entropy_has_no_slope_there():
    logits, labels = calibrated(50)
    beta = torch.tensor(1 / fit_temperature(logits, labels), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(F.cross_entropy(beta * logits, labels), beta)
    assert abs(slope.item()) < 1e-12


@pytest.mark.parametrize("t0", [0.3, 1.0, 2.5])
def test_calibrated_logits_made_t0_times_larger_give_t0_back(t0):
    logits, labels = calibrated(20_000)
    first = fit_temperature(logits, labels)
    assert first == pytest.approx(1, abs=0.03)  # labels are drawn
    assert fit_temperature(t0 * logits, labels) == pytest.approx(t0 * first, rel=1e-9)


def test_the_same_number_added_to_all_logits_of_an_image_changes_nothing():
    logits, labels = calibrated(40)
    moved = logits + torch.linspace(-50, 50, 40, dtype=torch.float64)[:, None]
    assert fit_temperature(moved, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-9)


def test_accuracy_stays_and_calibration_on_other_images_gets_better():
    logits, labels = calibrated(4000)
    logits = 3 * logits
    before = logits.clone()
    scaled = logits[2000:] / fit_temperature(logits[:2000], labels[:2000])
    assert torch.equal(logits, before)
    assert torch.equal(scaled.argmax(dim=1), logits[2000:].argmax(dim=1))
    gaps = [calibration_metrics(values, labels[2000:], kind="logits").ece for values in (logits[2000:], scaled)]
    assert gaps[1] < gaps[0] / 3


def test_a_class_that_no_validation_image_shows_is_no_obstacle():
    logits, labels = calibrated(40)
    logits[:, 0] -= 5
    labels = labels.clamp(min=1)
    assert fit_temperature(logits, labels) == pytest.approx(by_scipy(logits, labels), rel=1e-5)


def test_images_that_are_all_right_have_no_temperature():
    with pytest.raises(UserError, match=r"0\.01\. 3 of 3 images are answered right; take more"):
        fit_temperature(5 * torch.eye(3), torch.arange(3))


@pytest.mark.parametrize("logits", [torch.zeros(4, 3), -torch.eye(4)[:, :3], 1e5 * torch.tensor([[1.0, 0, 0]] * 4)])
def test_logits_that_know_nothing_or_are_huge_have_no_temperature(logits):
    with pytest.raises(UserError, match="up to 100"):
        fit_temperature(logits, torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), "got none: hold some out"),
        (torch.zeros(2, 1), torch.zeros(2, dtype=torch.long), r"2 classes or more, got \(2, 1\)"),
        (torch.eye(3), torch.arange(2), "labels must be 3"),
        (torch.eye(3), torch.tensor([0, 1, 3]), "labels must be 0 to 2, got 0 to 3"),
        (torch.tensor([[0.0, math.nan], [1.0, 0.0]]), torch.arange(2), "not finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits, labels, message):
    with pytest.raises(UserError, match=message):
        fit_temperature(logits, labels)


def test_each_half_is_divided_by_the_temperature_of_the_other():
    logits, labels = calibrated(41)
    logits = logits.float()
    scaled, temperatures = cross_fit(logits, labels)
    given = logits.double() / scaled
    first = (given[:, 0] - temperatures[0]).abs() < 1e-6
    assert temperatures[0] != pytest.approx(temperatures[1], abs=1e-3)
    assert sorted([int(first.sum()), int((~first).sum())]) == [20, 21]
    for rows, temperature in zip((first, ~first), temperatures, strict=True):
        assert given[rows].numpy() == pytest.approx(temperature)
        assert fit_temperature(logits[~rows], labels[~rows]) == pytest.approx(temperature, rel=1e-9)


def test_halves_need_two_images():
    with pytest.raises(UserError, match="got 1"):
        cross_fit(torch.ones(1, 2), torch.zeros(1, dtype=torch.long))


def test_images_that_are_wrong_are_not_called_right():
    """Logits that are all but equal ask for a low temperature, too."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 4
    logits = 0.002 * torch.randn(200, 4, generator=rng)
    logits[torch.arange(140), labels[:140]] += 0.01
    with pytest.raises(UserError, match=r"1\d\d of 200 images are answered right; its logits are all but equal"):
        fit_temperature(logits, labels)
