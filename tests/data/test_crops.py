"""Random resized crops: are they torchvision's, and taken where a set asks for them?"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.batches import assert_equal
from PIL import Image
from torchvision.transforms import v2

from adautomix.data.augment import crop_boxes, resized_crops
from adautomix.data.base import Dataset, PathSplit
from adautomix.data.loader import train_loader

CPU = torch.device("cpu")


def test_crop_scale_decides_how_much_of_a_streamed_image_is_seen(tmp_path):
    wide = np.zeros((100, 100, 3), dtype=np.uint8)
    wide[:, :, 0] = np.arange(100)  # a column's number: what is seen can be read off
    Image.fromarray(wide).save(tmp_path / "a.png")
    split = PathSplit([tmp_path / "a.png"] * 16, torch.zeros(16, dtype=torch.long))
    seen = {}
    for scale in (None, (0.9, 1.0)):
        half = (0.5, 0.5, 0.5)
        data = Dataset("f", "f", ("a",), split, split, 66, half, half, 0, True, "", crop_scale=scale)
        red = next(train_loader(data, 16, device=CPU, seed=0, workers=0).epoch(0)).x[:, 0] * 255
        seen[scale] = red.amax((1, 2)) - red.amin((1, 2))
    assert seen[(0.9, 1.0)].min() > 75
    assert seen[None].min() < 60


def test_resized_crops_equal_torchvisions_to_one_grey_level():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 20, 20), generator=rng, dtype=torch.uint8)
    boxes, mirror = crop_boxes(60, 20, (0.05, 1.0), rng), torch.rand(60, generator=rng) < 0.5
    boxes[:3] = torch.tensor([[0, 0, 20, 20], [3, 19, 5, 1], [19, 0, 1, 20]])
    ours = resized_crops(images, boxes, mirror)
    for i in range(60):
        expected = v2.functional.resized_crop(images[i], *boxes[i].tolist(), [20, 20], antialias=True)
        expected = v2.functional.horizontal_flip(expected) if mirror[i] else expected
        assert (ours[i].int() - expected.int()).abs().max() <= 1, i
    assert torch.equal(ours[0], images[0].flip(2) if mirror[0] else images[0])


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.9, 1.0), (1.0, 1.0)])
def test_crop_boxes_are_distributed_as_torchvisions(scale):
    side, count = 64, 3000
    torch.manual_seed(0)
    peer, image = v2.RandomResizedCrop(side, scale=scale), torch.zeros(3, side, side)
    theirs = torch.tensor(
        [[p[k] for k in ("top", "left", "height", "width")] for p in (peer.make_params([image]) for _ in range(count))]
    )
    ours = crop_boxes(count, side, scale, torch.Generator().manual_seed(1))
    assert ours.min() >= 0
    assert (ours[:, :2] + ours[:, 2:]).max() <= side
    for statistic in (lambda b: b, lambda b: (b[:, 2] * b[:, 3])[:, None], lambda b: (b[:, 3:] / b[:, 2:3]).log()):
        a, b = statistic(ours.double()), statistic(theirs.double())
        error = ((a.var(0) + b.var(0)) / count).sqrt() + 1e-9
        assert ((a.mean(0) - b.mean(0)).abs() < 4 * error).all()
        quarters = torch.tensor([0.1, 0.25, 0.75, 0.9], dtype=torch.float64)
        gap = (a.quantile(quarters, dim=0) - b.quantile(quarters, dim=0)).abs()
        assert (gap <= 0.1 * b.std(0) + 1e-9).all() or gap.max() <= 2  # px: sides are whole numbers


def test_images_in_memory_get_resized_crops_where_their_set_asks_for_them(tiny_dataset):
    data = replace(tiny_dataset, crop_scale=(0.2, 0.5), flip=False)
    epochs = [list(train_loader(data, 40, device=CPU, seed=0).epoch(n)) for n in (0, 0, 1)]
    assert_equal(*epochs[:2])
    x, _, index = epochs[0][0]
    assert (x * 255 - tiny_dataset.train.images[index]).abs().amax((1, 2, 3)).min() > 5  # none is whole
    whole = next(train_loader(replace(data, crop_scale=(1.0, 1.0)), 40, device=CPU, seed=0).epoch(0))
    unchanged = (whole.x * 255 - tiny_dataset.train.images[whole.index]).abs().amax((1, 2, 3)) == 0
    assert unchanged.float().mean() > 0.05  # only a try of aspect ratio 1, or none that fits
