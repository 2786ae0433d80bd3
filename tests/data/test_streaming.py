"""Streamed files: are the batches the same for any workers, with and without cache, whatever happened before?"""

import gc
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.batches import assert_equal, nine_files

from adautomix.data.loader import eval_loader, train_loader
from adautomix.utils.cores import cores
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")
SPEC = "rand-m7-n4-mstd0.5"


@pytest.fixture
def files(tmp_path):
    return nine_files(tmp_path)


def loader(dataset, workers=0, **options):
    return train_loader(dataset, 4, device=CPU, seed=1, workers=workers, **options)


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
    list(loader(files, workers=workers, rand_augment=SPEC).epoch(0))  # Python's: in test_rand_augment
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_streamed_images_are_augmented_the_same_by_any_workers(files):
    plain, *epochs = (
        list(loader(files, workers=w, rand_augment=spec).epoch(0)) for w, spec in ((0, None), (0, SPEC), (1, SPEC))
    )
    assert_equal(*epochs)
    assert torch.equal(plain[0].index, epochs[0][0].index)
    assert not torch.equal(plain[0].x, epochs[0][0].x)


def test_there_are_no_more_workers_than_cores_and_a_cpu_gets_smaller_batches(files):
    assert loader(files, workers=10_000).workers <= cores()
    assert eval_loader(files, device=CPU, workers=0).batch_size == len(files.test)
    many = replace(files, test=files.test.take(torch.arange(len(files.test)).repeat(60)))
    assert eval_loader(many, device=CPU, workers=0).batch_size == 100
