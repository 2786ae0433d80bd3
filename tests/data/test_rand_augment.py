"""RandAugment: is it timm's, from a seed, and are words that timm would pass over refused?"""

import pickle
import random

import numpy as np
import pytest
import torch
from helpers.batches import assert_equal
from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from adautomix.data.augment import augment_batch, python_seed, rand_augment
from adautomix.data.loader import train_loader
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")
SPEC = "rand-m7-n4-mstd0.5"


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


@pytest.mark.parametrize("spec", ["rand-m10-inc1", "rand-m2", "rand-m9-n3-mstd0.5-inc1", "rand-m20-mmax20-inc1-n4"])
def test_posterize_to_no_bits_is_black_and_no_error(spec):
    """Pillow 13 refuses less than one bit, which timm asks for at the ends of its scale."""
    change = pickle.loads(pickle.dumps(rand_augment(spec, (0.5, 0.5, 0.5))))  # as a worker that is spawned gets it
    images = torch.full((100, 3, 8, 8), 200, dtype=torch.uint8)
    assert augment_batch(images, change, seed=0).shape == images.shape
    posterize = next(op for op in change.ops if op.name.startswith("Posterize"))
    bits = (8, 7, 1, 0, -4)
    shown = [np.asarray(posterize.aug_fn(Image.new("RGB", (1, 1), (201,) * 3), n))[0, 0, 0] for n in bits]
    assert shown == [201, 200, 128, 0, 0]


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
        "adautomix.data.batches.augment_batch", lambda images, change, seed: seeds.append(seed) or images
    )
    assert_equal(epoch(1), epoch(1, None))  # the same crops and flips came in
    assert_equal(epoch(2), epoch(2, None))
    assert len(set(seeds)) == len(seeds) == 10
