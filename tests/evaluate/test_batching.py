"""Batches cut anew: every image once, in order, under its own number."""

import pytest
import torch

from adautomix.evaluate.batching import rebatched, take

X, Y = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 3, 2, 2), torch.arange(10)


def cut(size, *tensors):
    return list(zip(*(t.split(size) for t in tensors), strict=True))


@pytest.mark.parametrize("given", [1, 3, 4, 10])
@pytest.mark.parametrize(("size", "wanted"), [(4, [4, 4, 2]), (5, [5, 5]), (20, [10])])
def test_rebatched_images_come_in_order_and_in_one_size(given, size, wanted):
    batches = list(rebatched(cut(given, X, Y, Y), size))
    assert [len(y) for _, y in batches] == wanted
    assert torch.equal(torch.cat([x for x, _ in batches]), X)
    assert torch.equal(torch.cat([y for _, y in batches]), Y)
    assert not list(rebatched([], size))


@pytest.mark.parametrize(("most", "wanted"), [(None, [4, 4, 2]), (10, [4, 4, 2]), (8, [4, 4]), (5, [4, 1]), (1, [1])])
def test_first_cuts_the_last_batch_and_numbers_images_that_have_no_index(most, wanted):
    batches = list(take(cut(4, X, Y), most))
    assert [len(y) for _, y, _ in batches] == wanted
    assert torch.equal(torch.cat([index for _, _, index in batches]), torch.arange(sum(wanted)))
    numbered = take(cut(4, X, Y, Y + 7), most)
    assert torch.equal(torch.cat([index for _, _, index in numbered]), 7 + torch.arange(sum(wanted)))
