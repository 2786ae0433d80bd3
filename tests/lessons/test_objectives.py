"""The checks of a generator's aim, and the frozen game that they judge."""

import pandas as pd
import pytest
import torch
from helpers.tiny import tiny_classifier

from adautomix.lessons import check_collapse, check_objective, check_repair, frozen_game, measures, mixed_by, seen_by
from adautomix.lessons.telling import NOTHING
from adautomix.methods import mask_entropy
from adautomix.models import AutoMixBlock, MixBlock


def eq4(v, beta):
    return v.student - beta * v.teacher + (1 - beta) * v.cosine


def eq4_at_03(v):
    return eq4(v, 0.3)


@pytest.mark.parametrize(
    ("aim", "said"),
    [
        (eq4, "right"),
        (lambda v, beta: -eq4(v, beta), "every sign is turned"),
        (
            lambda v, beta: v.student + beta * v.teacher + (1 - beta) * v.cosine,
            "the teacher's loss has the weight +0.3",
        ),
        (lambda v, beta: v.student - beta * v.teacher, "the cosine has the weight +0.00"),
        (lambda v, beta: beta * v.teacher - (1 - beta) * v.cosine, "the student's loss has the weight +0.00"),
    ],
)
def test_an_objective_is_compared_with_eq_4(aim, said):
    assert said in check_objective(aim)


def test_the_end_of_a_game_tells_collapse_from_mixing():
    steps = range(10)
    fallen = pd.DataFrame({"aim": "a", "step": steps, "entropy": [1.0] * 8 + [0.1, 0.0]})
    mixing = fallen.assign(aim="b", entropy=0.9)
    log = pd.concat([fallen, mixing])
    falls, mixes = (lambda aims, name=name: log[log["aim"] == name] for name in "ab")
    assert check_collapse(falls, eq4_at_03) == "right"
    assert "0.90" in check_collapse(mixes, eq4_at_03)
    assert check_repair(mixes, eq4_at_03) == "right"
    assert "not repaired" in check_repair(falls, eq4_at_03)
    for no_adversary in (lambda v: 0 * v.student, lambda v: -v.teacher, lambda v: v.student):
        assert "should grow with the student's loss, and fall" in check_repair(mixes, no_adversary)


def test_an_aim_that_is_not_written_is_not_played():
    def play(aims):
        raise AssertionError("played")

    for check in (check_collapse, check_repair):
        assert check(play, lambda v: None) == NOTHING
        assert "AttributeError" in check(play, lambda v: v.pupil)
    assert check_objective(lambda v, beta: None) == NOTHING


def test_the_game_moves_generators_uphill_and_leaves_the_players_alone():
    torch.manual_seed(0)
    student, teacher = (tiny_classifier().eval().requires_grad_(False) for _ in range(2))
    before = [p.clone() for net in (student, teacher) for p in net.parameters()]
    channels = teacher.tap_shape[0]
    aims = {"up": lambda v: v.student, "down": lambda v: -v.student, "two": lambda v: -v.teacher - 0.1 * v.penalty}
    blocks = {"up": MixBlock(channels), "down": MixBlock(channels), "two": AutoMixBlock(channels)}
    size = 16
    batch = (torch.rand(6, 3, size, size), torch.arange(6) % student.num_classes)
    log = frozen_game(aims, blocks, student, teacher, [batch] * 12, seed=1)
    assert log.groupby("aim").size().eq(12).all()
    last = log.groupby("aim").last()["gain"]
    assert last["up"] > last["down"]
    after = [p for net in (student, teacher) for p in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not any(p.grad is not None for net in (student, teacher) for p in net.parameters())


def test_measures_of_clean_images_and_of_even_blends():
    torch.manual_seed(0)
    student, teacher = (tiny_classifier().eval() for _ in range(2))
    size = 16
    x, targets = torch.rand(4, 3, size, size), torch.eye(student.num_classes)[[0, 1, 2, 0]]
    tap, index = teacher(x, heads=(), tap=True).tap, torch.stack([torch.arange(4), torch.arange(4).roll(1)])
    lams = [torch.tensor([[share, 1 - share]]).expand(4, 2) for share in (0.2, 0.7)]

    def mixes(share_of):
        def block(features, lam, scale):
            return share_of(lam)[:, :, None, None].expand(-1, -1, size, size)

        return [mixed_by(block, x, targets, tap, index, lam).detach() for lam in lams]

    first = measures(mixes(lambda lam: torch.tensor([[1.0, 0.0]]).expand(4, 2)), student, teacher, seen_by(teacher, x))
    assert first["near"] == pytest.approx(1, abs=1e-5)  # the mix is a training image
    assert first["variety"] == 0  # and lam changes nothing
    assert first["entropy"] == 0
    plain = measures(mixes(lambda lam: lam), student, teacher, seen_by(teacher, x))
    apart = (x - x[index[1]]).abs().mean() * 0.25  # sd of two values half a lam apart
    assert plain["variety"] == pytest.approx(float(apart), abs=1e-5)
    even = mixes(lambda lam: lam * 0 + 0.5)
    assert measures(even, student, teacher, seen_by(teacher, x))["entropy"] == pytest.approx(1)
    assert mask_entropy(even[0].mask) == pytest.approx(0.6931, abs=1e-3)
