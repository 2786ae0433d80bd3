"""The checks of numbers: right ones are right, known mistakes are named, and what is missing is told."""

import math

import numpy as np
import pytest
import torch

from adautomix import lessons
from adautomix.lessons.telling import NOTHING
from adautomix.models import MixBlock


@pytest.fixture
def generator():
    torch.manual_seed(0)
    block, features = MixBlock(4), torch.randn(3, 1, 4, 3, 3)
    for layer in (block.query, block.key, block.value):
        torch.nn.init.normal_(layer.weight)
    return block, features, torch.full((1, 3), 1 / 3)


def test_the_error_of_a_forgotten_clipping_is_that_of_random_boxes():
    rng = np.random.default_rng(0)
    side, (row, column) = np.sqrt(rng.random(200_000)), rng.random((2, 200_000))
    inside = [np.minimum(c + side / 2, 1) - np.maximum(c - side / 2, 0) for c in (row, column)]
    error = float((side**2 - inside[0] * inside[1]).mean())
    assert lessons.check_clipping(error) == "right"
    assert "size is right" in lessons.check_clipping(-error)
    assert "too large: 0.3" in lessons.check_clipping(0.3)
    assert lessons.check_clipping(None) == NOTHING


def test_the_change_without_relu(generator):
    block, features, lam = generator
    linear = MixBlock(4, activation=None)
    linear.load_state_dict(block.state_dict())
    gap = (linear(features, lam, scale=4.0) - block(features, lam, scale=4.0)).abs()
    asked = (block.state_dict(), features, lam)
    assert lessons.check_without_relu(gap.max(), *asked) == "right"
    assert "the mean" in lessons.check_without_relu(gap.mean().item(), *asked)
    assert "too large" in lessons.check_without_relu(1.0, *asked)
    assert lessons.check_without_relu(None, *asked) == NOTHING


def test_the_divided_sum():
    scores = torch.randn(3, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    entropy = torch.distributions.Categorical(logits=scores / 2).entropy().mean()
    assert lessons.check_divided(2, entropy, scores) == "right"
    assert "divided by 2" in lessons.check_divided(3, entropy, scores)
    assert "the entropy is too large" in lessons.check_divided(2, math.log(5), scores)
    assert lessons.check_divided(2, None, scores) == NOTHING


def test_the_plateau(generator):
    block, features, even = generator
    probe = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))

    def ratio(*larger):
        changed = MixBlock(4)
        changed.load_state_dict(block.state_dict())
        for name in larger:
            getattr(changed, name).weight.data.mul_(10)
        (changed(features, even, scale=4.0) * probe).sum().backward()
        sizes = {name: float(getattr(changed, name).weight.grad.norm()) for name in ("query", "key", "value")}
        return sizes["value"] / max(sizes["query"], sizes["key"])

    two, three = ratio("query", "key"), ratio("query", "key", "value")
    assert lessons.check_plateau(two, three, block, features, probe) == "right"
    assert "all three" in lessons.check_plateau(two, 2 * three, block, features, probe)
    assert "queries and keys" in lessons.check_plateau(0.5 * two, three, block, features, probe)
    assert lessons.check_plateau(two, None, block, features, probe) == NOTHING


def test_the_honest_share():
    masks = torch.stack([torch.full((2, 2), share) for share in (0.3, 0.7)])[None]
    assert lessons.check_honest(0.3, masks) == "right"
    assert "too large" in lessons.check_honest(0.9, masks)
    assert lessons.check_honest(None, masks) == NOTHING


def test_the_loss_of_a_student_that_is_sure():
    def loss(eps):
        p = np.full(10, eps / 9)
        p[0] = 1 - eps
        return -np.log(p[:3]).mean()

    assert lessons.check_sure(loss) == "right"
    assert "divide by 3" in lessons.check_sure(lambda eps: 3 * loss(eps))
    assert "nine other classes" in lessons.check_sure(lambda eps: -(math.log(1 - eps) + 2 * math.log(eps)) / 3)
    assert "too small" in lessons.check_sure(lambda eps: 0.0)
    assert lessons.check_sure(lambda eps: None) == NOTHING


def test_the_released_weights_with_a_rarer_adversary():
    assert lessons.check_interval([0, 0.675, 0.175]) == "right"
    assert "the teacher's loss is too small" in lessons.check_interval([0, -0.3, 0.7])
    assert lessons.check_interval(None) == NOTHING


def test_the_steps_until_the_start_is_forgotten():
    assert lessons.check_forgotten(10_000) == "right"
    assert "too few" in lessons.check_forgotten(2000)
    assert "would do as well" in lessons.check_forgotten(40_000)
    assert lessons.check_forgotten(None) == NOTHING


def test_the_pairs_that_an_interval_needs():
    from scipy import stats

    def pairs(gain, sd):
        """Return the least number of pairs of which scipy's own test finds p < 0.05."""
        for n in range(2, 100):
            spread = np.resize([-1.0, 1.0], n)
            spread -= spread.mean()
            if stats.ttest_1samp(gain + sd * spread / spread.std(ddof=1), 0).pvalue < 0.05:
                return n
        return None

    assert lessons.check_seeds(pairs) == "right"
    assert "Student's t" in lessons.check_seeds(lambda gain, sd: math.floor((1.96 * sd / gain) ** 2) + 1)
    assert "too large" in lessons.check_seeds(lambda gain, sd: 100)
    assert lessons.check_seeds(lambda gain, sd: None) == NOTHING
