"""Input-gradient saliency: the right numbers, and no trace in the student."""

import copy

import pytest
import torch
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from adautomix.methods.ops.saliency import gradient_saliency, spectral_residual
from adautomix.models.classifier import Classifier
from adautomix.utils.errors import UserError


@pytest.fixture
def batch():
    x, y = tiny_batch()
    return x, nn.functional.one_hot(y, CLASSES).float()


class Dropping(nn.Module):
    """A network that draws random numbers in train mode."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.last = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.last(self.body(x))


def test_it_is_the_norm_of_each_images_own_gradient(student, batch):
    x, targets = batch
    found = gradient_saliency(student, x, targets)
    student.eval()
    for b in range(len(x)):
        one = x[b : b + 1].clone().requires_grad_()
        nn.functional.cross_entropy(student(one).logits["one"], targets[b : b + 1]).backward()
        torch.testing.assert_close(found[b], one.grad[0].square().sum(dim=0).sqrt())


def test_the_student_stays_as_it_was(batch):
    x, targets = batch
    student = Classifier(Dropping(), CLASSES, tap="body", image_size=8).train()
    student.net.body[1].eval()  # somebody froze one BatchNorm: it must not come back in train mode
    student(x).logits["one"].sum().backward()
    state = copy.deepcopy(student.state_dict())
    grads = [p.grad.clone() for p in student.parameters()]
    modes, rng, images = [m.training for m in student.modules()], torch.get_rng_state(), x.clone()
    gradient_saliency(student, x, targets)
    assert all(torch.equal(value, state[name]) for name, value in student.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(student.parameters(), grads, strict=True))
    assert [m.training for m in student.modules()] == modes
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(x, images)
    assert x.grad is None


def test_no_gradient_appears_where_there_was_none(student, batch):
    gradient_saliency(student, *batch)
    assert all(p.grad is None for p in student.parameters())


def test_its_cost_can_be_counted(student, batch):
    with FlopCounterMode(display=False) as counter:
        gradient_saliency(student, *batch)
    assert counter.get_total_flops() > 0


def test_a_student_that_fails_keeps_its_mode(student, batch):
    with pytest.raises(UserError, match="no head 'two'"):
        gradient_saliency(student, *batch, head="two")
    assert all(m.training for m in student.modules())


def test_it_works_under_no_grad_and_autocast_and_with_frozen_weights(batch):
    student = tiny_classifier()
    expected = gradient_saliency(student, *batch)
    student.requires_grad_(False)
    with torch.no_grad():
        assert torch.equal(gradient_saliency(student, *batch), expected)
    with torch.autocast("cpu", torch.bfloat16):
        rough = gradient_saliency(student, *batch)
    assert rough.dtype == torch.float32
    assert not rough.requires_grad
    torch.testing.assert_close(rough, expected, rtol=0.2, atol=0.1 * float(expected.max()))


@pytest.mark.parametrize("side", [32, 96])
def test_autocast_changes_no_map(side):
    """In bfloat16 maps had ties and other peaks, and above 64 px an operation that it does not have."""
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = spectral_residual(x)
    assert torch.equal(found, spectral_residual(x))


def test_maps_of_fake_tensors_leave_nothing_behind():
    """A compiler looks at shapes first, with tensors that hold nothing; kept ones would break what comes next."""
    real = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with FakeTensorMode():
        assert spectral_residual(torch.rand(2, 3, 16, 16)).shape == (2, 16, 16)
    found = spectral_residual(real)
    assert torch.isfinite(found).all()
    with FakeTensorMode():
        assert spectral_residual(torch.rand(2, 3, 16, 16)).shape == (2, 16, 16)
    assert torch.equal(found, spectral_residual(real))


def test_half_precision_keeps_the_map_of_an_image_that_the_student_is_sure_of(batch):
    """Its gradients are far below what float16 can hold."""
    x, targets = batch
    student = tiny_classifier().eval()
    with torch.no_grad():
        student.heads["one"].weight.normal_(std=0.01)
        student.heads["one"].bias.zero_()
        student.heads["one"].bias[0] = 15.0
    sure = torch.eye(targets.shape[1])[:1].expand(len(x), -1)
    expected = gradient_saliency(student, x, sure)
    with torch.autocast("cpu", torch.float16):
        rough = gradient_saliency(student, x, sure)
    assert 0 < expected.max() < 1e-7
    torch.testing.assert_close(rough, expected, rtol=0.2, atol=0.1 * float(expected.max()))
