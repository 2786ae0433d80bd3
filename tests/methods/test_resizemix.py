"""ResizeMix: the whole other image, resized into a box, with the box's area as its share of the label."""

import pytest
import torch
import torch.nn.functional as F
from helpers.tiny import tiny_batch

from adautomix.methods import make_method
from adautomix.methods.resizemix import ResizeMixDraws, resample, resized_boxes
from adautomix.utils.errors import UserError

INDEX = torch.tensor([[0, 1, 2, 3], [2, 3, 1, 0]])


def slow(x, index, box):
    out = x.clone()
    for b in range(len(x)):
        top, bottom, left, right = box[b].tolist()
        small = F.interpolate(x[index[1, b]][None], size=(bottom - top, right - left), mode="bilinear")[0]
        out[b, :, top:bottom, left:right] = small
    return out


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("ratio", [0.1, 0.37, 0.8, 1.0])
def test_images_equal_a_loop_and_labels_the_pasted_area(start, ratio, per_sample):
    method, ctx = start("resizemix", per_sample=per_sample)
    x, y = tiny_batch(size=16)
    place = torch.tensor([[0.0, 0.0], [0.3, 0.9], [0.99, 0.5], [0.5, 0.1]])
    ratios, corner = torch.full((4,), ratio), place if per_sample else place[1:2].expand(4, 2)
    draws = ResizeMixDraws(INDEX, torch.zeros(4, 2), ratios, corner)
    mixed, box = method.mix(x, y, ctx, draws), resized_boxes(ratios, corner, (16, 16))
    torch.testing.assert_close(mixed.x, slow(x, INDEX, box), atol=1e-5, rtol=1e-5)
    area = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2]) / 256
    torch.testing.assert_close(mixed.lam[:, 1], area)
    torch.testing.assert_close(mixed.mask[:, 1].mean(dim=(1, 2)), area)


def test_boxes_lie_inside_the_image_reach_every_edge_and_are_never_empty():
    rng = torch.Generator().manual_seed(0)
    ratio, corner = 0.01 + 0.99 * torch.rand(5000, generator=rng), torch.rand(5000, 2, generator=rng)
    for size in ((32, 32), (9, 14)):
        top, bottom, left, right = resized_boxes(ratio, corner, size).unbind(1)
        assert top.min() == 0
        assert left.min() == 0
        assert bottom.max() == size[0]
        assert right.max() == size[1]
        assert (bottom > top).all()
        assert (right > left).all()


def test_side_ratios_are_uniform_between_their_bounds(start):
    method, ctx = start("resizemix", ratio_min=0.2, ratio_max=0.6, per_sample=True)
    ratio = method.draw(4000, ctx).ratio
    assert ratio.min() >= 0.2
    assert ratio.max() <= 0.6
    assert ratio.mean().item() == pytest.approx(0.4, abs=0.01)
    assert ratio.std().item() == pytest.approx(0.4 / 12**0.5, abs=0.01)


def test_bounds_in_the_wrong_order_are_refused(student):
    with pytest.raises(UserError, match=r"need 0 < ratio_min <= ratio_max <= 1, got 0\.9 and 0\.8"):
        make_method("resizemix", student, {"ratio_min": 0.9})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_places_are_exact_in_half_precision(dtype):
    """bfloat16 counts to 256 in ones: coordinates computed in it would read other pixels."""
    x = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[10, 101, 3, 200], [0, 224, 100, 180], [55, 91, 150, 223]])
    exact, half = resample(x, box), resample(x.to(dtype), box)
    assert half.dtype == dtype
    for image, near, (top, bottom, left, right) in zip(exact, half.float(), box.tolist(), strict=True):
        inside = (slice(None), slice(top, bottom), slice(left, right))
        torch.testing.assert_close(near[inside], image[inside], atol=0.01, rtol=0)
