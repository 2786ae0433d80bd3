"""Streamed files, cache and augmentation: the same batches in every way to get them, and torchvision's crops."""

import gc
import multiprocessing
import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from torchvision.transforms import v2

from adautomix.data import cache
from adautomix.data.augment import augment_batch, crop_boxes, python_seed, rand_augment, resized_crops
from adautomix.data.base import Dataset, PathSplit
from adautomix.data.cache import ImageCache, available_memory, cache_for
from adautomix.data.loader import eval_loader, train_loader
from adautomix.errors import UserError

CPU = torch.device("cpu")
SPEC = "rand-m7-n4-mstd0.5"


@pytest.fixture
def files(tmp_path):
    """Nine files of two classes as a data set at 72 px: sizes differ, one was turned by its camera, one is grey."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.{'png' if i % 2 else 'jpg'}" for i in range(9)]
    for i, path in enumerate(paths):
        pixels = rng.integers(0, 256, (int(rng.integers(40, 120)), int(rng.integers(40, 120)), 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6 if i == 2 else 1
        Image.fromarray(pixels).save(path, exif=exif)
    Image.fromarray(rng.integers(0, 2**16, (50, 60)).astype(np.uint16)).save(paths[3])
    split = PathSplit(paths, torch.arange(9) % 2)
    half = (0.5, 0.5, 0.5)
    return Dataset("files", "files", ("a", "b"), split, split, 72, half, half, pad=0, flip=True, fingerprint="")


def loader(dataset, workers=0, **options):
    return train_loader(dataset, 4, device=CPU, seed=1, workers=workers, **options)


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def by_index(batches):
    """Return an epoch's images in the order of their rows, those of a left-out batch missing."""
    index = torch.cat([batch.index for batch in batches])
    return dict(zip(index.tolist(), torch.cat([batch.x for batch in batches]), strict=True))


def assert_changed_anew(first, second):
    """The same images, in other crops: not only another order."""
    first, second = by_index(first), by_index(second)
    both = first.keys() & second.keys()
    assert len(both) > 3
    assert sum(torch.equal(first[i], second[i]) for i in both) < len(both) / 2


def workers_now():
    return {child.pid for child in multiprocessing.active_children()}


def test_batches_are_the_same_for_any_workers_in_every_epoch_with_and_without_cache(files):
    plain = loader(files, cache=False)
    epochs = [list(plain.epoch(number)) for number in range(3)]
    assert_changed_anew(*epochs[:2])
    cached = loader(files, workers=2)
    for number in (0, 1, 2, 0):
        assert_equal(list(cached.epoch(number)), epochs[number])
    assert cached._files.cache.filled.all()  # written by the workers, seen here
    test = [list(eval_loader(files, 4, device=CPU, workers=0, cache=c)) for c in (False, True)]
    assert_equal(*test)


def test_workers_stay_from_epoch_to_epoch_and_end_with_their_loader(files):
    before, batches = workers_now(), loader(files, workers=2)
    list(batches.epoch(0))
    started = workers_now() - before
    list(batches.epoch(1))
    assert len(started) == 2
    assert workers_now() - before == started
    del batches
    gc.collect()
    assert not workers_now() & started


def test_an_epoch_left_early_or_begun_inside_another_changes_no_batch(files):
    batches = loader(files, workers=1)
    whole = [list(loader(files).epoch(number)) for number in range(2)]
    next(batches.epoch(1))
    outer = batches.epoch(0)
    first = next(outer)
    assert_equal(list(batches.epoch(1)), whole[1])
    assert_equal([first, *outer], whole[0])
    assert_equal(list(batches), whole[0])
    assert_equal(list(batches), whole[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_goes_on_after_a_broken_file_is_replaced(files, workers):
    path = files.train.paths[1]
    good = path.read_bytes()
    path.write_bytes(b"no image")
    batches = eval_loader(files, 4, device=CPU, workers=workers)
    for _ in range(2):
        with pytest.raises(UserError, match=r"^image file .*1.png cannot be read"):
            list(batches)
    path.write_bytes(good)
    assert_equal(list(batches), list(eval_loader(files, 4, device=CPU, workers=0, cache=False)))


@pytest.mark.parametrize("workers", [0, 1])
def test_streaming_leaves_the_global_random_numbers_alone(files, workers):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    list(loader(files, workers=workers, rand_augment=SPEC).epoch(0))  # Python's: below, as beartype draws from them
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


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


def test_a_kept_image_comes_back_to_the_last_bit_and_one_of_another_size_is_not_kept():
    kept = ImageCache(np.array([0, 5 * 4 * 3, 12]))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    for index in (0, 1, 2):
        assert kept.get(index) is None
        kept.put(index, image)
    assert kept.filled.tolist() == [False, True, False]
    assert kept.get(1).size == (5, 4)
    assert np.array_equal(np.asarray(kept.get(1)), np.asarray(image))


@pytest.mark.parametrize(
    ("memory", "start", "fits"),
    [(10**9, "fork", True), (200_000, "fork", False), (None, "fork", False), (10**9, "spawn", False)],
)
def test_there_is_a_cache_only_if_all_images_fit_and_workers_can_share_it(files, monkeypatch, memory, start, fits):
    monkeypatch.setattr(cache, "available_memory", lambda: memory)
    monkeypatch.setattr(cache.multiprocessing, "get_start_method", lambda allow_none: start)
    paths = files.train.paths
    assert (cache_for(paths, range(9), workers=2) is not None) == fits
    assert (cache_for(paths, range(9), workers=0) is not None) == (fits or start == "spawn")


def test_a_hopeless_cache_is_given_up_after_a_sample_of_the_headers(monkeypatch):
    asked = []
    monkeypatch.setattr(cache, "_bytes_decoded", lambda path: asked.append(path) or 10**6)
    monkeypatch.setattr(cache, "available_memory", lambda: 10**10)
    assert cache_for([Path("a.jpg")] * 100_000, range(100_000), workers=0) is None
    assert len(asked) < 200


def test_nothing_more_is_kept_when_others_have_taken_the_memory(monkeypatch):
    kept = ImageCache(np.array([12, 12]), reserve=100)
    image = Image.new("RGB", (2, 2))
    monkeypatch.setattr(cache, "CHECK_EVERY", 1)
    for index, memory in enumerate((100, 99)):
        monkeypatch.setattr(cache, "available_memory", lambda memory=memory: memory)
        kept.put(index, image)
    assert kept.filled.tolist() == [True, False]


def test_the_limits_of_a_control_group_count(tmp_path, monkeypatch):
    group = tmp_path / "job"
    group.mkdir()
    for name, text in (
        ("max", "1000000\n"),
        ("current", "900000\n"),
        ("stat", "active_file 200000\ninactive_file 1\n"),
    ):
        (group / f"memory.{name}").write_text(text)
    files = ("memory.max", "memory.current", "")
    assert list(cache._left(str(tmp_path), *files, "job/step")) == [300001]
    assert available_memory() > 10**6


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


@pytest.mark.parametrize(
    "spec",
    [
        "rand-m",
        "rand-m7.5",
        "rand-x3",
        "rand-m7-",
        "rand-m7-mstd",
        "rand-m7-tnothing",
        "augmix-m3",
        "rand m7",
        "rand-m7-n0",
    ],
)
def test_words_timm_would_pass_over_or_stumble_on_are_refused(spec, tiny_dataset):
    with pytest.raises(UserError, match=r"rand_augment must be timm's words.*rand-m7-mstd0.5"):
        train_loader(tiny_dataset, 4, device=CPU, seed=0, rand_augment=spec)


@pytest.mark.parametrize(
    "spec", ["rand", SPEC, "rand-m9-mstd0.5-inc1", "rand-m9-mmax20-n3-p0.5", "rand-m9-tweights", "rand-t3a"]
)
def test_timms_words_are_accepted_and_uncovered_corners_get_the_mean_colour(spec):
    change = rand_augment(spec, (0.1, 0.75, 1.0))
    assert {op.kwargs["fillcolor"] for op in change.ops} == {(26, 191, 255)}
    with python_seed(0):
        assert change(Image.new("RGB", (9, 9))).size == (9, 9)


def test_rand_augment_is_timms_from_a_seed_and_gives_the_random_states_back():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    images, change = torch.from_numpy(pixels).permute(0, 3, 1, 2), rand_augment(SPEC, (0.5, 0.5, 0.5))
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    peer = rand_augment_transform(SPEC, {"img_mean": (128, 128, 128)})
    expected = np.stack([np.asarray(peer(Image.fromarray(p))) for p in pixels])
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    ours = augment_batch(images, change, seed=5)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002
    assert np.array_equal(ours.permute(0, 2, 3, 1).numpy(), expected)
    assert not torch.equal(ours, images)


def test_images_in_memory_are_augmented_after_crop_and_flip_the_same_every_time(tiny_dataset, monkeypatch):
    def epoch(number, spec=SPEC):
        return list(train_loader(tiny_dataset, 8, device=CPU, seed=0, rand_augment=spec).epoch(number))

    assert_equal(epoch(1), epoch(1))
    assert not torch.equal(epoch(1)[0].x, epoch(1, None)[0].x)
    seeds = []
    monkeypatch.setattr(
        "adautomix.data.loader.augment_batch", lambda images, change, seed: seeds.append(seed) or images
    )
    assert_equal(epoch(1), epoch(1, None))  # the same crops and flips came in
    assert_equal(epoch(2), epoch(2, None))
    assert len(set(seeds)) == len(seeds) == 10


def test_streamed_images_are_augmented_the_same_by_any_workers(files):
    plain, *epochs = (
        list(loader(files, workers=w, rand_augment=spec).epoch(0)) for w, spec in ((0, None), (0, SPEC), (1, SPEC))
    )
    assert_equal(*epochs)
    assert torch.equal(plain[0].index, epochs[0][0].index)
    assert not torch.equal(plain[0].x, epochs[0][0].x)


def test_there_are_no_more_workers_than_cores_and_large_images_come_in_smaller_batches(files):
    assert loader(files, workers=10_000).workers <= os.cpu_count()
    assert eval_loader(files, device=CPU, workers=0).batch_size == len(files.test)
    many = replace(files, test=files.test.take(torch.arange(len(files.test)).repeat(60)))
    assert eval_loader(many, device=CPU, workers=0).batch_size == 100
