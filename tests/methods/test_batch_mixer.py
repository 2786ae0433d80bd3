"""A mixer with timm's signature: the trainer's own batches, soft targets, and who is refused."""

import pytest
import torch
from helpers.tiny import CLASSES, tiny_batch
from helpers.training import tiny_config
from timm.data import Mixup
from timm.loss import SoftTargetCrossEntropy

from adautomix import METHODS, BatchMixer, UserError
from adautomix.methods.batch_mixer import only_mixes
from adautomix.methods.ops.mixing import require_batch
from adautomix.training.steps import Training
from adautomix.utils.seeding import seed_for

PLAIN = ["vanilla", "mixup", "cutmix", "saliencymix", "fmix", "resizemix", "gridmix", "smoothmix"]


@pytest.mark.parametrize("name", PLAIN)
def test_it_mixes_as_the_trainer_does(name, tiny_dataset):
    config = tiny_config(method=name, label_smoothing=0.1)
    training = Training.start(config, tiny_dataset, torch.device("cpu"))
    mixer = BatchMixer(name, CLASSES, label_smoothing=0.1, seed=seed_for(config.seed, "mixing"))
    for batch in training.train_batches.epoch(0):
        x, y = mixer(batch.x, batch.y)
        mixed = training.step(batch).mixed[0]
        assert torch.equal(x, mixed.x)
        assert torch.equal(y, mixed.y)


def test_those_that_ask_or_train_a_network_or_have_a_past_are_refused():
    assert [name for name in METHODS if only_mixes(METHODS[name])] == PLAIN
    for name in set(METHODS) - set(PLAIN):
        with pytest.raises(UserError, match=rf"{name} needs more than a batch.*Those that only mix are vanilla, mixup"):
            BatchMixer(name, CLASSES)
    with pytest.raises(UserError, match="did you mean 'alpha'"):
        BatchMixer("mixup", CLASSES, alhpa=1.0)


def test_targets_are_timms_where_nothing_is_mixed():
    x, y = tiny_batch()
    ours = BatchMixer("cutmix", CLASSES, label_smoothing=0.1)
    ours.mixup_enabled = False
    theirs = Mixup(mixup_alpha=1.0, num_classes=CLASSES, label_smoothing=0.1)
    theirs.mixup_enabled = False
    (images, targets), (_, expected) = ours(x, y), theirs(x.clone(), y)
    assert torch.equal(images, x)
    torch.testing.assert_close(targets, expected)
    assert torch.isfinite(SoftTargetCrossEntropy()(torch.randn(len(x), CLASSES), ours(x, y)[1]))


@pytest.mark.parametrize(("method", "options"), [("mixup", {}), ("smoothmix", {}), ("fmix", {"max_soft": 0.5})])
def test_images_of_whole_numbers_are_refused(method, options):
    x = torch.randint(256, (4, 3, 16, 16), dtype=torch.uint8)
    with pytest.raises(UserError, match="must be float in"):
        BatchMixer(method, 10, **options)(x, torch.arange(4))


def test_small_whole_numbers_are_labels_too():
    x, y = torch.rand(4, 3, 16, 16), torch.arange(4)
    mixed = [BatchMixer("mixup", 10, seed=1)(x, y.to(kind))[1] for kind in (torch.int64, torch.int16, torch.uint8)]
    assert torch.equal(mixed[0], mixed[1])
    assert torch.equal(mixed[0], mixed[2])


def test_images_that_are_not_mixed_are_new_tensors_all_the_same():
    x, y = tiny_batch()
    off = BatchMixer("mixup", CLASSES)
    off.mixup_enabled = False
    for mixer in (off, BatchMixer("vanilla", CLASSES)):
        out, _ = mixer(x, y)
        assert torch.equal(out, x)
        assert out.data_ptr() != x.data_ptr()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_classes": 0}, "num_classes must be 2 or more, got 0"),
        ({"label_smoothing": 1.5}, "label_smoothing must be 0 or more and below 1, got 1.5"),
        ({"label_smoothing": float("nan")}, "got nan"),
    ],
)
def test_what_gives_no_targets_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        BatchMixer("mixup", **{"num_classes": CLASSES} | given)


@pytest.mark.parametrize(("x", "y"), [(torch.rand(()), torch.zeros(1)), (torch.rand(4, 8, 8), torch.zeros(4))])
def test_what_is_no_batch_of_images_is_refused(x, y):
    with pytest.raises(UserError, match=r"images must be \[B,C,H,W\] and labels \[B\]"):
        require_batch(x, y)
