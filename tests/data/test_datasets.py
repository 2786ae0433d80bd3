"""The sets of the paper's tables: is each read from a tiny tree in its real layout?"""

import pytest
from helpers.layouts import CLASSES, EVERY, INNER, TEST, TRAIN, check_pictures, load
from helpers.trees import WRITERS, any_checksum, write_tree

from adautomix.data import load_dataset
from adautomix.data.base import MemorySplit, PathSplit
from adautomix.utils.errors import UserError


@EVERY
def test_a_set_is_read_in_its_on_disk_layout(tmp_path, name):
    write_tree(name, tmp_path, train=TRAIN, test=TEST)
    dataset = load(name, tmp_path)
    assert (dataset.name, dataset.label, dataset.classes) == (name, name, CLASSES[name])
    check_pictures(dataset, 64 if name == "tiny_imagenet" else None)
    assert dataset.size == (64 if name == "tiny_imagenet" else 224)
    assert dataset.crop_scale == ((0.08, 1.0) if "imagenet" in name else (0.5, 1.0))
    assert (dataset.mean[0], dataset.std[0], dataset.flip, dataset.pad) == (0.485, 0.229, True, 0)


@EVERY
def test_the_root_may_be_the_folder_itself_and_the_fingerprint_is_the_same(tmp_path, name):
    write_tree(name, tmp_path)
    outer, inner = load(name, tmp_path), load(name, tmp_path / INNER[name])
    assert list(inner.train.paths) == list(outer.train.paths)
    assert inner.fingerprint == outer.fingerprint


@EVERY
def test_without_a_root_it_is_looked_for_in_the_workbooks_data_folder(tmp_path, monkeypatch, name):
    (tmp_path / "notebooks" / "plans").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write_tree(name, tmp_path / "data" / name)
    assert len(load(name, None).train) == 12


@EVERY
def test_small_images_are_read_into_memory_and_large_ones_stay_in_files(tmp_path, name):
    write_tree(name, tmp_path)
    small = load_dataset(name, root=tmp_path, size=64, per_class=2, validation=0.5)
    assert isinstance(small.train, MemorySplit)
    assert [len(split) for split in (small.train, small.validation, small.test)] == [3, 3, 6]
    assert small.train.images.shape == (3, 3, 64, 64)
    if name == "tiny_imagenet":
        with pytest.raises(UserError, match="tiny_imagenet comes at 64 px, not 224"):
            load_dataset(name, root=tmp_path, size=224)
    else:
        assert isinstance(load_dataset(name, root=tmp_path).train, PathSplit)
        with pytest.raises(UserError, match=f"{name} comes at 32 px or more, not 31"):
            load_dataset(name, root=tmp_path, size=31)


@EVERY
def test_the_fingerprint_follows_the_files(tmp_path, name):
    write_tree(name, tmp_path)
    before = load(name, tmp_path)
    path = before.train.paths[5]
    path.write_bytes(path.read_bytes() + b"\0")
    changed = load(name, tmp_path).fingerprint != before.fingerprint
    assert changed == (name != "imagenet")  # of names only
    if name == "imagenet":
        path.rename(path.with_name("another.JPEG"))
        assert load(name, tmp_path).fingerprint != before.fingerprint


@pytest.mark.parametrize("name", WRITERS)
@any_checksum()
def test_trees_have_the_classes_and_images_asked_for(tmp_path, name):
    write_tree(name, tmp_path, classes=5, train=2, test=1)
    dataset = load_dataset(name, root=tmp_path)
    assert (dataset.num_classes, len(dataset.test)) == (5, 5)
    assert len(dataset.train) == (50 if name == "cifar10" else 10)
