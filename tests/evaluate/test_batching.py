"""Batches cut anew: every image once, in order, under its own number."""

import pytest
import torch
from helpers.tiny import tiny_batch, tiny_classifier

from adautomix.evaluate.accuracy import predict
from adautomix.evaluate.batching import count_right, fixed_batches, logits_of
from adautomix.utils.errors import UserError

X, Y = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 3, 2, 2), torch.arange(10)


def cut(size, *tensors):
    return list(zip(*(t.split(size) for t in tensors), strict=True))


@pytest.mark.parametrize("given", [1, 3, 4, 10])
@pytest.mark.parametrize(("size", "wanted"), [(4, [4, 4, 2]), (5, [5, 5]), (20, [10])])
def test_rebatched_images_come_in_order_and_in_one_size(given, size, wanted):
    batches = list(fixed_batches(cut(given, X, Y, Y), size))
    assert [len(y) for _, y in batches] == wanted
    assert torch.equal(torch.cat([x for x, _ in batches]), X)
    assert torch.equal(torch.cat([y for _, y in batches]), Y)
    assert not list(fixed_batches([], size))


def test_right_answers_are_counted_by_version_and_images_without_an_index_are_numbered(student):
    numbers, x, y = [], 0.1 * torch.ones(5, 3, 4, 4), torch.tensor([0, 1, 0, 1, 1])

    def versions(x, y, index):
        numbers.extend(index.tolist())
        for version, answer in (("zeros", 0), ("ones", 1)):
            yield version, torch.eye(2)[torch.full_like(y, answer)]

    counts = count_right(student.eval(), cut(2, x, y), versions)
    assert counts.right == {"zeros": 2, "ones": 3}
    assert counts.top1("ones") == 60
    assert (counts.n, counts.size) == (5, (4, 4))
    assert numbers == [0, 1, 2, 3, 4]
    count_right(student, cut(2, x, y, torch.arange(7, 12)), versions)
    assert numbers[5:] == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("labels", [torch.zeros(4, 1, dtype=torch.long), torch.tensor([0, 1, 2, 99])])
def test_labels_that_are_no_class_ids_are_refused_and_not_counted(labels):
    model, (x, _) = tiny_classifier().eval(), tiny_batch()
    with pytest.raises(UserError, match="labels must be"):
        count_right(model, [(x, labels)], lambda x, y, index: [("clean", logits_of(model, x))])
    with pytest.raises(UserError, match="labels must be"):
        predict(model, [(x, labels)])
