"""Packaged sets and CIFAR: which images, classes, sizes and splits does `load_dataset` give?"""

import pickle

import pytest
import torch
from helpers.trees import any_checksum, cifar_tree
from torchvision import datasets

from adautomix.config import TrainConfig
from adautomix.data import dataset_for, load_dataset
from adautomix.data.base import IN_MEMORY, MemorySplit
from adautomix.data.loader import eval_loader
from adautomix.data.photos import whole_photos
from adautomix.utils.errors import UserError


@pytest.mark.parametrize(
    ("name", "train", "test", "classes", "size"), [("digits", 1000, 797, 10, 16), ("photos", 288, 144, 6, 32)]
)
def test_packaged_sets_have_their_sizes_and_are_the_same_every_time(name, train, test, classes, size):
    first, second = load_dataset(name), load_dataset(name)
    assert (len(first.train), len(first.test), first.num_classes) == (train, test, classes)
    assert first.train.images.shape == (train, 3, size, size)
    assert torch.equal(first.train.images, second.train.images)
    assert torch.bincount(first.test.labels).min() > 0
    assert first.train.images.float().std() > 20  # pictures, not blanks


@pytest.mark.parametrize(("asked", "given"), [(None, False), (True, True), (False, False)])
def test_mirroring_is_the_sets_own_choice_unless_asked_for(asked, given):
    assert dataset_for(TrainConfig(data="digits", flip=asked)).flip is given


def test_digits_statistics_are_those_of_the_training_images():
    dataset = load_dataset("digits")
    pixels = dataset.train.images.float() / 255
    assert abs(pixels.mean() - dataset.mean[0]) < 0.005
    assert abs(pixels.std() - dataset.std[0]) < 0.005


def test_photos_train_and_test_share_no_crop_and_show_six_motifs():
    dataset = load_dataset("photos", size=24)
    train = {image.numpy().tobytes() for image in dataset.train.images}
    assert not train & {image.numpy().tobytes() for image in dataset.test.images}
    images, names = whole_photos(64)
    assert images.shape == (6, 3, 64, 64)
    assert names == ("cat", "astronaut", "coffee", "rocket", "flower", "temple")
    assert 0 <= images.min() < images.max() <= 1


def test_sizes_a_set_does_not_have_are_refused():
    with pytest.raises(UserError, match="digits comes at 16 or 8 or 32 px, not 20"):
        load_dataset("digits", size=20)
    with pytest.raises(UserError, match="photos comes at 8 to 64 px, not 224"):
        load_dataset("photos", size=224)


def test_unknown_data_set_is_refused_naming_the_closest():
    with pytest.raises(UserError, match="did you mean 'digits'"):
        load_dataset("digts")


def test_per_class_keeps_the_first_of_every_class_and_the_whole_test_set():
    full, part = load_dataset("digits"), load_dataset("digits", per_class=7)
    assert torch.bincount(part.train.labels).tolist() == [7] * 10
    assert len(part.test) == len(full.test)
    first_three = full.train.images[full.train.labels == 3][:7]
    assert torch.equal(part.train.images[part.train.labels == 3], first_three)
    with pytest.raises(UserError, match=r"per_class=500, but class .* has"):
        load_dataset("digits", per_class=500)


@pytest.mark.parametrize(
    ("name", "source", "key", "train"),
    [("cifar10", datasets.CIFAR10, "labels", 100), ("cifar100", datasets.CIFAR100, "fine_labels", 20)],
)
@any_checksum()
def test_cifar_is_read_in_its_on_disk_layout(tmp_path, name, source, key, train):
    cifar_tree(tmp_path, source, key)
    dataset = load_dataset(name, root=tmp_path)
    assert dataset.train.images.shape == (train, 3, 32, 32)
    raw = pickle.loads((tmp_path / source.base_folder / source.train_list[0][0]).read_bytes())["data"]
    assert torch.equal(dataset.train.images[0], torch.from_numpy(raw[0].reshape(3, 32, 32)))
    assert (dataset.pad, dataset.flip) == (4, True)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_missing_cifar_says_where_to_put_the_files(tmp_path, monkeypatch, name):
    def offline(*args, **kwargs):
        raise OSError("network unreachable")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    with pytest.raises(UserError, match=r"network unreachable.*put cifar-.*tar.gz from https://.*md5"):
        load_dataset(name, root=tmp_path)


def test_sets_up_to_64_px_live_in_memory():
    assert IN_MEMORY == 64
    for name in ("digits", "photos"):
        assert isinstance(load_dataset(name).train, MemorySplit)


def test_validation_images_are_a_fixed_share_of_every_class_taken_from_training():
    full, first, second = load_dataset("digits"), *(load_dataset("digits", validation=0.1) for _ in range(2))
    assert full.validation is None
    assert len(first.train) + len(first.validation) == len(full.train)
    counts = torch.bincount(full.train.labels)
    assert torch.equal(torch.bincount(first.validation.labels), (counts * 0.1).round().long())
    assert torch.equal(first.validation.images, second.validation.images)
    assert torch.equal(first.test.images, full.test.images)
    train = {image.numpy().tobytes() for image in first.train.images}
    assert not train & {image.numpy().tobytes() for image in first.validation.images}
    with pytest.raises(UserError, match=r"has 2 image\(s\): 2 held out for validation would leave none"):
        load_dataset("digits", per_class=2, validation=0.9)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"per_class": 0}, "per_class must be 1 or more, got 0"),
        ({"size": -3}, "size must be 1 or more, got -3"),
        ({"validation": 1.5}, r"validation must be in \[0,1\), got 1.5"),
    ],
)
def test_numbers_out_of_range_are_refused(asked, message):
    with pytest.raises(UserError, match=message):
        load_dataset("digits", **asked)


def test_validation_images_that_a_set_does_not_have_are_not_loaded():
    with pytest.raises(UserError, match="digits has no validation images"):
        eval_loader(load_dataset("digits"), split="validation", device=torch.device("cpu"))
