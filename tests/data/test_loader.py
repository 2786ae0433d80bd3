"""Loaders in memory: which images come in which order, cropped and flipped how?"""

from dataclasses import replace

import torch
from torchvision.transforms import v2

from adautomix.data.augment import crop_and_flip
from adautomix.data.base import MemorySplit
from adautomix.data.batches import MemoryLoader
from adautomix.data.loader import eval_loader, train_loader

CPU = torch.device("cpu")


def test_crop_and_flip_equals_torchvisions_reflect_pad_and_crop():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 3, 9, 12), generator=rng, dtype=torch.uint8)
    shift = torch.tensor([[-4, 4], [4, -4], [0, 0], [3, -1], [-2, 0], [1, 2]])
    mirror = torch.tensor([False, False, True, True, False, True])
    ours = crop_and_flip(images, shift, mirror)
    for i in range(6):
        padded = v2.functional.pad(images[i], [4, 4, 4, 4], padding_mode="reflect")
        top, left = (shift[i] + 4).tolist()
        expected = v2.functional.crop(padded, top, left, 9, 12)
        expected = v2.functional.horizontal_flip(expected) if mirror[i] else expected
        assert torch.equal(ours[i], expected), i


def test_an_epoch_is_a_function_of_seed_and_number(tiny_dataset):
    def epoch(seed, number):
        loader = train_loader(tiny_dataset, 8, device=CPU, seed=seed)
        return torch.cat([batch.x for batch in loader.epoch(number)])

    assert torch.equal(epoch(0, 3), epoch(0, 3))
    assert not torch.equal(epoch(0, 3), epoch(0, 4))
    assert not torch.equal(epoch(0, 3), epoch(1, 3))


def test_training_sees_every_image_once_and_drops_the_last_incomplete_batch(tiny_dataset):
    loader = train_loader(tiny_dataset, 16, device=CPU, seed=0)
    index = torch.cat([batch.index for batch in loader.epoch(0)])
    assert len(loader) == 2
    assert len(index) == len(index.unique()) == 32


def test_a_batch_larger_than_the_set_becomes_the_set(tiny_dataset):
    loader = train_loader(tiny_dataset, 1000, device=CPU, seed=0)
    assert [len(batch.y) for batch in loader.epoch(0)] == [40]


def test_evaluation_sees_every_image_once_in_order_as_it_is(tiny_dataset):
    batches = list(eval_loader(tiny_dataset, 8, device=CPU))
    assert [len(batch.y) for batch in batches] == [8, 8, 4]
    torch.testing.assert_close(torch.cat([b.x for b in batches]), tiny_dataset.test.images.float() / 255)


def test_a_gpu_gets_larger_batches_to_evaluate_than_a_cpu(tiny_dataset):
    many = replace(tiny_dataset, test=tiny_dataset.test.take(torch.arange(len(tiny_dataset.test)).repeat(60)))
    sizes = [eval_loader(many, device=torch.device(name)).batch_size for name in ("cpu", "meta")]  # meta: no CPU
    assert sizes == [100, 1000]


def test_flip_mirrors_about_half_and_only_where_allowed():
    images = torch.zeros(400, 3, 4, 4, dtype=torch.uint8)
    images[:, :, :, 0] = 255
    split = MemorySplit(images, torch.zeros(400, dtype=torch.long))
    for flip, low, high in ((True, 150, 250), (False, 0, 0)):
        loader = MemoryLoader(split, 400, device=CPU, shuffle=True, flip=flip)
        mirrored = int((next(iter(loader)).x[:, 0, 0, 3] == 1).sum())
        assert low <= mirrored <= high
