"""Puzzle Mix, the method: do masks, labels and images keep its promises for any image and option?"""

from dataclasses import replace

import pytest
import torch
from helpers.tiny import CLASSES, TinyNet, tiny_batch, tiny_classifier

from adautomix.methods import make_method
from adautomix.methods.context import Context
from adautomix.methods.puzzlemix.method import PuzzleDraws, PuzzleMix
from adautomix.models.classifier import Classifier
from adautomix.utils.errors import UserError


@pytest.fixture
def ctx():
    return Context.start(tiny_classifier(), steps=10)


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
@pytest.mark.parametrize("options", [{}, {"transport": False}, {"per_sample": True, "n_labels": 4}, {"t_size": -1}])
def test_masks_sum_to_one_and_labels_follow_their_areas(ctx, blocks, options):
    method, (x, y) = PuzzleMix(**options), tiny_batch(6, 16)
    before = x.clone()
    mixed = method.mix(x, y, ctx, replace(method.draw(6, ctx), blocks=blocks))
    torch.testing.assert_close(mixed.mask.sum(dim=1), torch.ones(6, 16, 16))
    torch.testing.assert_close(mixed.lam, mixed.mask.mean(dim=(2, 3)))
    steps = mixed.mask * (method.n_labels - 1)
    torch.testing.assert_close(steps, steps.round())
    assert torch.equal(x, before)
    if not method.transport:
        expected = mixed.mask[:, :1] * x + mixed.mask[:, 1:] * x[mixed.index[1]]
        torch.testing.assert_close(mixed.x, expected)


def test_transport_changes_the_images_but_not_the_label(ctx):
    x, y = tiny_batch(6, 16)
    draws = replace(PuzzleMix().draw(6, ctx), lam=torch.full((6, 2), 0.5), blocks=8)
    moved, fixed = (PuzzleMix(transport=on, t_eps=0.05).mix(x, y, ctx, draws) for on in (True, False))
    assert torch.equal(moved.y, fixed.y)
    assert not torch.equal(moved.x, fixed.x)


def test_both_solvers_give_nearly_the_same_masks_and_trws_is_the_default(ctx):
    x, y = tiny_batch(6, 16)
    draws = replace(PuzzleMix().draw(6, ctx), lam=torch.full((6, 2), 0.5), blocks=8)
    fast, exact = (PuzzleMix(solver=name).mix(x, y, ctx, draws) for name in ("trws", "exact"))
    assert (fast.mask - exact.mask).abs().mean() < 0.1
    assert make_method("puzzlemix", ctx.student).solver == "trws"


def test_an_extreme_lam_shows_one_image_alone(ctx):
    x, y = tiny_batch(4, 16)
    draws = PuzzleDraws(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), torch.tensor([[1.0, 0.0]]).expand(4, 2), 4)
    mixed = PuzzleMix().mix(x, y, ctx, draws)
    torch.testing.assert_close(mixed.lam[:, 0], torch.ones(4))


def test_every_number_of_blocks_up_to_the_largest_is_drawn(ctx):
    drawn = [PuzzleMix(max_blocks=8).draw(2, ctx).blocks for _ in range(60)]
    assert set(drawn) == {2, 4, 8}


@pytest.mark.parametrize(
    ("size", "used"), [((32, 32), 16), ((8, 8), 8), ((24, 32), 8), ((30, 30), 2), ((224, 160), 16)]
)
def test_blocks_are_as_many_as_the_image_allows(size, used):
    assert PuzzleMix.grid(16, torch.zeros(1, 3, *size)) == used


def test_non_square_images_are_mixed(ctx):
    x, y = torch.rand(4, 3, 16, 24, generator=torch.Generator().manual_seed(0)), torch.arange(4) % CLASSES
    method = PuzzleMix()
    mixed = method.mix(x, y, ctx, replace(method.draw(4, ctx), blocks=8))
    assert mixed.mask.shape == (4, 2, 16, 24)


def test_images_that_cannot_be_cut_are_refused(ctx):
    method, y = PuzzleMix(), torch.arange(2)
    with pytest.raises(UserError, match="not possible at 15x16 px"):
        method.mix(torch.rand(2, 3, 15, 16), y, ctx, method.draw(2, ctx))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_useless_saliency_still_gives_an_image(ctx, bad):
    x, y = tiny_batch(4, 16)
    method = PuzzleMix()
    mixed = method.mix_salient(x, ctx.targets(y), torch.full((4, 16, 16), bad), method.draw(4, ctx))
    assert mixed.x.isfinite().all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_labels": 5},
        {"max_blocks": 3},
        {"gamma": 1.5},
        {"eta": -0.1},
        {"neigh_size": 0},
        {"t_size": 0},
        {"solver": "gco"},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(UserError):
        PuzzleMix(**wrong)


def test_images_that_cannot_be_cut_are_refused_before_training():
    student = Classifier(TinyNet(), 3, tap="body", image_size=25)
    with pytest.raises(UserError, match="not possible at 25x25 px"):
        PuzzleMix.build(student)
