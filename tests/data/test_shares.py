"""Shares of several devices: together are they the batches, and the test images, that one device would get?"""

from dataclasses import replace

import pytest
import torch
from helpers.batches import assert_equal, nine_files

from adautomix.data.batches import Batch, Share
from adautomix.data.loader import eval_loader, train_loader
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")


def shares(make, count):
    """Return the batches of `count` devices, put together again batch by batch."""
    parts = zip(*(make(Share(rank, count)) for rank in range(count)), strict=True)
    return [Batch(*map(torch.cat, zip(*part, strict=True))) for part in parts]


@pytest.mark.parametrize("crop_scale", [None, (0.3, 1.0)])
@pytest.mark.parametrize("count", [2, 3])
def test_the_shares_of_images_in_memory_are_the_batches_of_one_device(tiny_dataset, crop_scale, count):
    dataset = replace(tiny_dataset, crop_scale=crop_scale)

    def make(share=Share()):  # noqa: B008
        return train_loader(dataset, 12, device=CPU, seed=3, share=share).epoch(2)

    together = shares(make, count)
    assert_equal(together, list(make()))
    index = torch.cat([batch.index for batch in together])
    assert len(index.unique()) == len(index) == 36


def test_with_rand_augment_every_rank_has_images_of_its_own(tiny_dataset):
    """A batch is augmented in one go, so pixels differ from one device's; images and rows do not."""

    def make(share=Share()):  # noqa: B008
        return train_loader(tiny_dataset, 12, device=CPU, seed=3, rand_augment="rand-m9", share=share).epoch(0)

    together, whole = shares(make, 2), list(make())
    assert all(torch.equal(a.index, b.index) for a, b in zip(together, whole, strict=True))
    assert torch.equal(together[0].x[:6], whole[0].x[:6])  # the first rank's begin with the same seed


def test_the_shares_of_files_are_the_batches_of_one_device(tmp_path):
    files = nine_files(tmp_path)

    def make(share=Share()):  # noqa: B008
        return train_loader(files, 4, device=CPU, seed=1, workers=0, cache=False, share=share).epoch(1)

    assert_equal(shares(make, 2), list(make()))


@pytest.mark.parametrize("count", [2, 3])
def test_every_test_image_is_in_one_share_and_they_keep_their_order(tiny_dataset, count):
    loaders = [eval_loader(tiny_dataset, 8, device=CPU, share=Share(rank, count)) for rank in range(count)]
    index = torch.cat([batch.index for loader in loaders for batch in loader])
    assert index.tolist() == list(range(20))


@pytest.mark.parametrize(
    ("batch", "devices", "message"),
    [
        (10, 4, "a batch of 10 images cannot be shared equally by 4 devices: give --batch-size 8 or 12"),
        (2, 3, "give --batch-size 3$"),
        (1000, 3, r"a batch of 40 images \(all that there are, of 1000 asked for\).* give --batch-size 39$"),
        (1000, 41, r"40 training image\(s\) cannot be shared by 41 devices"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_do(tiny_dataset, batch, devices, message):
    with pytest.raises(UserError, match=message):
        train_loader(tiny_dataset, batch, device=CPU, seed=0, share=Share(0, devices))


def test_fewer_test_images_than_devices_are_refused(tiny_dataset):
    with pytest.raises(UserError, match=r"20 test image\(s\) cannot be shared by 21 devices"):
        eval_loader(tiny_dataset, device=CPU, share=Share(20, 21))
