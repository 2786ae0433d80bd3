"""PatchDrop: how many patches, whose, nested, in which colour."""

import numpy as np
import pytest
import torch
from helpers.tiny import TinyNet
from torch import nn

from adautomix import Classifier
from adautomix.evaluate.occlusion import default_grid, dropped, evaluate, fill_patches, orders, patchdrop
from adautomix.evaluate.released import evaluate as released
from adautomix.evaluate.released import patches_released
from adautomix.utils.errors import UserError

INDEX = torch.arange(5)


def images(size=16, count=5):
    return 0.1 + 0.8 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.33, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("grid", [4, 8])
def test_every_image_loses_exactly_the_share_asked_for_in_whole_patches(ratio, grid):
    x = images()
    gone = (patchdrop(x, ratio, grid=grid, index=INDEX) == 0).all(dim=1)  # no pixel is black to begin with
    cells = gone.unfold(1, 16 // grid, 16 // grid).unfold(2, 16 // grid, 16 // grid).float().mean(dim=(3, 4))
    assert set(cells.unique().tolist()) <= {0.0, 1.0}
    assert cells.sum(dim=(1, 2)).tolist() == [round(ratio * grid**2)] * 5


def test_nothing_dropped_is_the_image_and_all_dropped_a_constant():
    x = images()
    assert torch.equal(patchdrop(x, 0.0, grid=8, index=INDEX), x)
    assert patchdrop(x, 1.0, grid=8, index=INDEX).max() == 0


def test_masks_are_nested_and_images_have_their_own():
    order = orders(range(20), 8, seed=0)
    before = dropped(order, 0.0)
    for ratio in (0.1, 0.2, 0.5, 0.9, 1.0):
        assert (before <= dropped(order, ratio)).all()
        before = dropped(order, ratio)
    assert len(dropped(order, 0.5).unique(dim=0)) == 20


def test_an_image_loses_the_same_patches_in_any_batch_and_others_with_another_seed():
    x = images()
    whole = patchdrop(x, 0.5, grid=8, index=INDEX)
    assert torch.equal(patchdrop(x[3:4], 0.5, grid=8, index=INDEX[3:4]), whole[3:4])
    assert not torch.equal(patchdrop(x, 0.5, grid=8, index=INDEX, seed=1), whole)


def test_fills_are_black_the_images_mean_or_a_colour():
    x = images()
    gone = patchdrop(x, 0.5, grid=8, index=INDEX) == 0
    mean = patchdrop(x, 0.5, grid=8, index=INDEX, fill="mean")
    expected = x.mean(dim=(2, 3), keepdim=True).expand_as(x)
    torch.testing.assert_close(mean[gone], expected[gone])
    assert torch.equal(mean[~gone], x[~gone])
    blue = patchdrop(x, 1.0, grid=8, index=INDEX, fill=torch.tensor([0.0, 0.0, 1.0]))
    assert blue.mean(dim=(0, 2, 3)).tolist() == [0, 0, 1]


def test_the_curve_of_a_network_that_only_sees_one_pixel_is_known():
    """Its answer is right as long as the patch of that pixel is there."""

    class Corner(nn.Module):
        def forward(self, x):
            return x[:, :1, :1, :1].flatten(1)

    net = Classifier(Corner(), 2, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), image_size=16).eval()
    net.heads["one"].weight.data = torch.tensor([[-1.0], [1.0]])
    net.heads["one"].bias.data = torch.tensor([0.05, 0.0])
    x, y, index = images(count=40), torch.ones(40, dtype=torch.long), torch.arange(40)
    batches = [(x[part], y[part], index[part]) for part in (slice(0, 25), slice(25, 40))]
    curve = evaluate(net, batches)["value"]["curve"]
    order = orders(range(40), 8, seed=0)[:, 0]
    for row in curve:
        kept = (order >= round(row["ratio"] * 64)).float().mean().item()
        assert row["top1"] == pytest.approx(100 * kept)
    assert curve[0]["top1"] == 100
    assert curve[-1]["top1"] == 0


def test_the_stored_result_names_its_grid(student):
    batch = (images(8, 4), torch.arange(4), torch.arange(4))
    result = evaluate(student.eval(), [batch, batch])
    assert result["settings"]["grid"] == 4
    assert result["n_images"] == 8
    assert len(result["value"]["curve"]) == 11
    assert result["value"]["curve"][5]["top1"] == result["value"]["half"]


@pytest.mark.parametrize(("size", "grid"), [(224, 14), (32, 8), (16, 8), (24, 12), (28, 14), (20, 10)])
def test_the_default_grid_divides_the_image(size, grid):
    assert default_grid(size, size) == grid


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratio": 1.5}, "got 1.5"),
        ({"grid": 5}, r"grid=5 .*\[1, 2, 4, 8, 16\]"),
        ({"fill": "white"}, "got 'white'"),
        ({"fill": torch.tensor([2.0, 0, 0])}, r"got \[2.0"),
        ({"index": torch.arange(3)}, "index must be 5"),
        ({"x": torch.randn(5, 3, 16, 16)}, "pixels"),
    ],
)
def test_what_cannot_be_occluded_is_refused(change, message):
    given = {"x": images(), "ratio": 0.5, "grid": 8, "index": INDEX} | change
    with pytest.raises(UserError, match=message):
        patchdrop(given.pop("x"), given.pop("ratio"), **given)


def test_released_occlusion_is_the_same_for_the_whole_batch_and_in_the_mean_colour():
    x, mean = images(), torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)
    out = fill_patches(x, patches_released(np.random.RandomState(0), 0.5, 8)[None], mean)
    gone = (out == mean).all(dim=1)
    assert gone.float().mean() == 0.5
    assert (gone == gone[0]).all()


def test_the_released_occlusion_does_not_depend_on_the_loaders_batches(student):
    x, y = images(8, 230), torch.arange(230) % 5
    student.eval()
    results = [released(student, zip(x.split(size), y.split(size), strict=True)) for size in (230, 100, 64, 1)]
    assert all(result == results[0] for result in results)
    assert results[0]["settings"]["batch_size"] == 100


def test_the_grid_recorded_is_that_of_images_that_are_not_square():
    model = Classifier(TinyNet(), 5, image_size=(64, 96)).eval()
    batches = [(torch.rand(2, 3, 64, 96), torch.arange(2))]
    assert evaluate(model, batches)["settings"]["grid"] == default_grid(64, 96) == 8
