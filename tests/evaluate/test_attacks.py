"""FGSM, PGD and AutoAttack: closed forms on linear networks, and what must not change."""

import copy
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
import torch.nn.functional as F
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier
from torch import nn

from adautomix import Classifier
from adautomix.evaluate import autoattack as autoattack_module
from adautomix.evaluate import pgd as pgd_module
from adautomix.evaluate.attacks import EPS, accuracy_by_eps, evaluate, fgsm
from adautomix.evaluate.autoattack import autoattack
from adautomix.evaluate.pgd import pgd
from adautomix.utils.errors import UserError

SIZE = 8


def linear(std=(0.25, 0.25, 0.25), classes=CLASSES, seed=0):
    """Return a Classifier whose logits are linear in the pixels."""
    torch.manual_seed(seed)
    return Classifier(nn.Flatten(), classes, tap=None, std=std, image_size=SIZE).eval()


def images(count=6, low=0.2, high=0.8):
    rng = torch.Generator().manual_seed(3)
    return low + (high - low) * torch.rand(count, 3, SIZE, SIZE, generator=rng), torch.arange(count) % CLASSES


@pytest.fixture
def net(student):
    return student.eval()


def test_fgsm_of_a_linear_network_is_the_closed_form():
    net, (x, y) = linear(std=(0.1, 0.2, 0.4)), images()
    weight = net.heads["one"].weight.view(CLASSES, 3, SIZE, SIZE) / net.std
    p = net(x).logits["one"].softmax(dim=1)
    gradient = torch.einsum("bk,kchw->bchw", p - F.one_hot(y, CLASSES), weight)
    torch.testing.assert_close(fgsm(net, x, y, eps=0.05), (x + 0.05 * gradient.sign()).clamp(0, 1))


def test_two_classes_lose_exactly_eps_times_the_weights_one_norm():
    net, (x, _) = linear(classes=2), images()
    y = torch.zeros(len(x), dtype=torch.long)
    weight = net.heads["one"].weight.view(2, 3, SIZE, SIZE) / net.std
    logits = [net(images).logits["one"] for images in (x, fgsm(net, x, y, eps=0.1))]
    margin = [z[:, 0] - z[:, 1] for z in logits]
    expected = 0.1 * (weight[1] - weight[0]).abs().sum()
    torch.testing.assert_close(margin[0] - margin[1], expected.expand(len(x)), rtol=1e-4, atol=1e-4)


def test_a_pixel_moves_by_eps_whatever_its_channels_std():
    net, (x, y) = linear(std=(0.05, 0.2, 0.8)), images()
    change = (fgsm(net, x, y) - x).abs()
    torch.testing.assert_close(change, torch.full_like(change, EPS), atol=1e-6, rtol=0)


@pytest.mark.parametrize("attack", [fgsm, pgd])
@pytest.mark.parametrize("eps", [0.25 / 255, 8 / 255, 0.5, 1.0])
def test_attacks_stay_in_the_ball_and_in_range_and_leave_the_images(net, attack, eps):
    x, y = images(low=0.0, high=1.0)
    before = x.clone()
    attacked = attack(net, x, y, eps=eps)
    assert (attacked - x).abs().max() <= eps + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert torch.equal(x, before)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_attacks_leave_no_trace_in_the_network_or_in_random_state(net, attack):
    x, y = images()
    state, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    attack(net, x, y)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert not net.training
    assert torch.equal(torch.get_rng_state(), rng)


def test_an_image_is_attacked_alike_in_any_batch(net):
    x, y = images()
    alone = torch.cat([fgsm(net, x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(fgsm(net, x, y), alone)


def test_an_image_has_the_same_random_start_in_any_batch_and_others_with_another_seed(net):
    x, y = images()
    index = torch.tensor([7, 3, 11, 5, 2, 9])
    whole = pgd(net, x, y, steps=1, index=index)
    parts = [pgd(net, x[rows], y[rows], steps=1, index=index[rows]) for rows in (slice(0, 4), slice(4, 6))]
    torch.testing.assert_close(torch.cat(parts), whole)
    back = pgd(net, x.flip(0), y.flip(0), steps=1, index=index.flip(0)).flip(0)
    torch.testing.assert_close(back, whole)
    assert not torch.allclose(pgd(net, x, y, steps=1, index=index, seed=1), whole)
    assert not torch.allclose(pgd(net, x, y, steps=1, index=index + 1), whole)
    with pytest.raises(UserError, match=r"index must be 6 .*\(5,\)"):
        pgd(net, x, y, index=index[:5])


def test_pgds_result_does_not_depend_on_the_batches(net):
    x, y = images(60)
    seen = [[], []]
    for parts, size in zip(seen, (60, 7), strict=True):

        def spied(*args, parts=parts, **given):
            parts.append(pgd(*args, steps=2, **given))
            return parts[-1]

        accuracy_by_eps(net, list(zip(x.split(size), y.split(size), strict=True)), attack=spied, eps_list=(EPS,))
    torch.testing.assert_close(torch.cat(seen[0]), torch.cat(seen[1]))


def test_attacks_work_under_no_grad(net):
    x, y = images()
    with torch.no_grad():
        assert not torch.equal(fgsm(net, x, y), x)


def test_one_step_of_size_eps_without_a_random_start_is_fgsm(net):
    x, y = images()
    assert torch.equal(pgd(net, x, y, alpha=EPS, steps=1, random_start=False), fgsm(net, x, y))


def test_pgd_of_a_linear_network_arrives_at_the_fgsm_point():
    # For two classes the gradient's sign is the same everywhere.
    net, (x, y) = linear(classes=2), images()
    torch.testing.assert_close(pgd(net, x, y % 2), fgsm(net, x, y % 2), atol=1e-6, rtol=0)


def test_pgd_equals_a_plain_loop_of_steps_and_projections(net):
    x, y = images()
    attacked = x.clone()
    for _ in range(5):
        attacked = attacked.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(attacked).logits["one"], y), attacked)
        moved = attacked.detach() + 0.01 * gradient.sign()
        attacked = (x + (moved - x).clamp(-0.03, 0.03)).clamp(0, 1)
    torch.testing.assert_close(pgd(net, x, y, eps=0.03, alpha=0.01, steps=5, random_start=False), attacked)


def test_the_curve_starts_at_clean_accuracy_and_gives_what_single_attacks_give(net):
    x, y = images(9)
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    curve = accuracy_by_eps(net, batches, eps_list=(0.02, 0.1))
    expected = [net(v).logits["one"].argmax(1) == y for v in (x, fgsm(net, x, y, eps=0.02), fgsm(net, x, y, eps=0.1))]
    assert [row["eps"] for row in curve] == [0.0, 0.02, 0.1]
    assert [row["top1"] for row in curve] == pytest.approx([100 * e.float().mean().item() for e in expected])
    slow = accuracy_by_eps(net, batches, attack=lambda *a, eps, index: fgsm(*a, eps=eps), eps_list=(0.02, 0.1))
    assert slow == curve


def test_images_that_no_gradient_moves_are_reported(net):
    for p in net.parameters():
        p.data.zero_()
    with pytest.warns(UserWarning, match="6 of 6 images have a gradient of zero"):
        accuracy_by_eps(net, [images()])


def test_results_say_what_was_attacked(net):
    batches = [images()]
    for result, attack in ((evaluate(net, batches), "FGSM"), (pgd_module.evaluate(net, batches), "PGD")):
        assert result["settings"]["attack"] == attack
        assert result["settings"]["eps"] == pytest.approx(8 / 255)
        assert result["value"]["error"] == 100 - result["value"]["top1"]
        assert result["n_images"] == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 8.0}, "got 8; did you mean 8/255"),
        ({"eps": 0.0}, "got 0"),
        ({"x": torch.randn(6, 3, SIZE, SIZE)}, "pixels"),
        ({"y": torch.arange(5)}, "labels must be 6"),
        ({"y": torch.full((6,), CLASSES)}, f"labels must be 0 to {CLASSES - 1}"),
    ],
)
@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_what_cannot_be_attacked_is_refused(net, attack, change, message):
    x, y = images()
    given = {"x": x, "y": y} | change
    with pytest.raises(UserError, match=message):
        attack(net, given.pop("x"), given.pop("y"), **given)


def test_a_network_in_train_mode_and_impossible_settings_are_refused(student):
    x, y = tiny_batch()
    with pytest.raises(UserError, match="training mode"):
        fgsm(student.train(), x, y)
    student.eval()
    with pytest.raises(UserError, match="steps >= 1"):
        pgd(student, x, y, steps=0)
    with pytest.raises(UserError, match="no test images"):
        accuracy_by_eps(student, [])


def test_autoattack_is_an_extra_whose_absence_is_explained(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[attacks\]'"):
        autoattack(net, *images())


def test_the_evaluator_autoattack_explains_the_absence_before_anything_is_done(net, monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(autoattack_module, "version", absent)
    with pytest.raises(UserError, match=r"pip install -e '\.\[attacks\]'"):
        autoattack_module.evaluate(net, [images()])


def test_autoattack_is_stored_as_other_attacks_are_and_says_its_version(net):
    pytest.importorskip("pyautoattack")
    result = autoattack_module.evaluate(net, [images()])
    assert set(result["value"]) == set(pgd_module.evaluate(net, [images()])["value"])
    assert result["value"]["top1"] <= pgd_module.evaluate(net, [images()])["value"]["top1"]
    assert result["settings"]["package"] == f"pyautoattack {version('pyautoattack')}"


def test_autoattack_of_three_classes_is_refused():
    pytest.importorskip("pyautoattack")
    x, y = images()
    with pytest.raises(UserError, match="AutoAttack needs 4 classes or more, got 3"):
        autoattack(linear(classes=3), x, y % 3)
    assert autoattack(linear(classes=3), x, y % 3, version="custom", attacks=["apgd-ce"]).shape == x.shape


def test_autoattack_is_no_weaker_than_pgd():
    pytest.importorskip("pyautoattack")
    net, (x, y) = linear(), images(6)
    y = net(x).logits["one"].argmax(1)  # all right to begin with
    attacked = [attack(net, x, y, eps=0.02) for attack in (autoattack, pgd)]
    right = [int((net(images).logits["one"].argmax(1) == y).sum()) for images in attacked]
    assert right[0] <= right[1] <= len(y)


def test_attacks_take_small_parts_of_large_batches_with_their_own_places():
    seen, model = [], tiny_classifier().eval()
    x, y = torch.rand(250, 3, 8, 8), torch.arange(250) % CLASSES

    def attack(model, x, y, *, eps, index):
        seen.append((len(x), index.tolist()))
        return x

    rows = accuracy_by_eps(model, [(x, y, torch.arange(250).flip(0))], attack=attack, eps_list=[0.1])
    assert rows[0]["n"] == 250
    assert [count for count, _ in seen] == [100, 100, 50]
    assert [place for _, places in seen for place in places] == list(range(249, -1, -1))
