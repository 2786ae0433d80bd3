"""A user's folder of images: is it read as it looks, and told what is wrong with it?"""

import shutil
import warnings

import numpy as np
import pytest
import torch
from helpers.trees import insects
from PIL import Image

from adautomix.data import DATASETS, load_dataset
from adautomix.data.base import PathSplit
from adautomix.data.loader import eval_loader, train_loader
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def tree(tmp_path):
    return insects(tmp_path)


def test_folder_reads_train_and_test(tree):
    dataset = load_dataset("folder", root=tree, size=16)
    assert dataset.classes == ("ants", "bees")
    assert dataset.label == "folder-insects"
    assert dataset.train.images.shape == (12, 3, 16, 16)
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "val"), ("train", "valid"), ("Train", "Test"), ("training", "testing"), ("TRAIN", "Validation")],
)
def test_folder_accepts_the_usual_names_of_the_parts(tree, train, test):
    for old, new in (("train", train), ("test", test)):
        (tree / old).rename(tree / new)
    dataset = load_dataset("folder", root=tree)
    assert dataset.classes == ("ants", "bees")
    assert {path.relative_to(tree).parts[0] for path in dataset.train.files.paths} == {train}
    assert {path.relative_to(tree).parts[0] for path in dataset.test.files.paths} == {test}


def test_a_part_called_val_beside_one_called_test_is_for_validation(tree):
    shutil.copytree(tree / "test", tree / "Valid")
    seen, held = (sorted((tree / part / "ants").iterdir())[0] for part in ("train", "Valid"))
    shutil.copy(seen, held)
    found = DATASETS["folder"](root=tree)
    assert {path.parts[-3] for path in found.test.paths} == {"test"}
    assert {path.parts[-3] for path in found.validation.paths} == {"Valid"}
    assert found.validation.labels.tolist() == found.test.labels.tolist()
    assert any("val or test" in remark for remark in found.remarks)
    asked = load_dataset("folder", root=tree, validation=0.25)
    assert {path.parts[-3] for path in asked.validation.files.paths} == {"train"}
    shutil.rmtree(tree / "Valid" / "bees")
    with pytest.raises(UserError, match="Valid must have the same classes; these are in one only: bees"):
        DATASETS["folder"](root=tree)
    some = DATASETS["folder"](root=tree, allow_missing_classes=True)
    assert set(some.validation.labels.tolist()) == {0}
    shutil.copytree(tree / "Valid", tree / "val")
    told = f"valid of {tree} is left out: test is what is tested on, val what is validated on"
    assert told in DATASETS["folder"](root=tree, allow_missing_classes=True).remarks


def test_parts_of_a_split_are_not_taken_for_classes(tree):
    shutil.copytree(tree / "train", tree / "Training")
    with pytest.raises(UserError, match="holds 2 training parts, train and Training; keep one"):
        load_dataset("folder", root=tree)
    shutil.rmtree(tree / "Training")
    (tree / "train").rename(tree / "valid")
    with pytest.raises(UserError, match=r"only parts of a split \(test, valid\), and none of them is called train"):
        load_dataset("folder", root=tree)


def test_files_left_out_for_their_suffix_are_counted_once(tree):
    load_dataset("folder", root=tree)  # no warning: all are images
    for name in ("1.mov", "2.MOV", "notes", ".hidden.mov", "Thumbs.db"):
        (tree / "train" / "ants" / name).write_bytes(b"something")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(2):
            load_dataset("folder", root=tree)
    (message,) = [str(warning.message) for warning in said]
    assert message.startswith(f"3 file(s) in the class folders of {tree} are left out (2 .mov, 1 without suffix); ")
    assert ".jpg" in message


def test_a_folder_that_moved_is_asked_for(tree, monkeypatch):
    monkeypatch.chdir(tree)
    with pytest.raises(UserError, match=rf"no directory gif in {tree};.* moved, say where they are with --root$"):
        load_dataset("folder", root="gif")


def test_folder_without_a_split_holds_out_a_fixed_share_of_every_class(tree):
    first, second = (load_dataset("folder", root=tree / "train", size=16) for _ in range(2))
    assert torch.bincount(first.train.labels).tolist() == [4, 4]
    assert torch.bincount(first.test.labels).tolist() == [2, 2]
    assert torch.equal(first.test.images, second.test.images)
    train = {image.numpy().tobytes() for image in first.train.images}
    assert not train & {image.numpy().tobytes() for image in first.test.images}


def test_folder_above_64_px_stays_in_files_and_gives_the_same_batches_for_any_workers(tree):
    dataset = load_dataset("folder", root=tree, size=80)
    assert isinstance(dataset.train, PathSplit)
    epochs = [list(train_loader(dataset, 4, device=CPU, seed=1, workers=w).epoch(0)) for w in (0, 2)]
    assert len(epochs[0]) == 3
    for a, b in zip(*epochs, strict=True):
        assert a.x.shape == (4, 3, 80, 80)
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, dataset.train.labels[a.index])
    test = list(eval_loader(dataset, 4, device=CPU, workers=0))
    assert torch.cat([b.index for b in test]).tolist() == list(range(6))
    few = next(iter(eval_loader(dataset, 4, device=CPU, workers=0, sample=3)))
    assert len(set(few.index.tolist())) == 3
    assert all(torch.equal(x, test[i // 4].x[i % 4]) for x, i in zip(few.x, few.index.tolist(), strict=True))


def test_folder_fingerprint_follows_its_files_not_its_place(tree, tmp_path):
    before = load_dataset("folder", root=tree).fingerprint
    moved = tmp_path / "elsewhere"
    tree.rename(moved)
    assert load_dataset("folder", root=moved).fingerprint == before
    (moved / "train" / "ants" / "0.png").unlink()
    assert load_dataset("folder", root=moved).fingerprint != before


@pytest.mark.parametrize("row", [0, 100, 199])
def test_uncompressed_images_of_one_size_have_fingerprints_of_their_own(tree, row):
    pixels, path = np.full((200, 200), 255, dtype=np.uint8), tree / "train" / "ants" / "white.pgm"
    Image.fromarray(pixels).save(path)
    before, size = load_dataset("folder", root=tree).fingerprint, path.stat().st_size
    pixels[row] = 0
    Image.fromarray(pixels).save(path)
    assert path.stat().st_size == size
    assert load_dataset("folder", root=tree).fingerprint != before


def test_a_file_that_cannot_be_opened_is_named(tree, monkeypatch):
    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root, as in a container, may open every file
    with pytest.raises(UserError, match=r"ants/0.png cannot be read \(Permission denied\)"):
        load_dataset("folder", root=tree)


def test_broken_and_empty_files_are_named(tree):
    (tree / "train" / "ants" / "0.png").write_bytes(b"no image")
    dataset = load_dataset("folder", root=tree)
    with pytest.raises(UserError, match=r"1 image file\(s\) cannot be read.*ants/0.png"):
        train_loader(dataset, 4, device=CPU, seed=0)
    (tree / "test" / "bees" / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"1 image file\(s\) are empty.*bees/1.png"):
        load_dataset("folder", root=tree)


def test_broken_file_is_named_by_the_streaming_loader(tree):
    (tree / "test" / "ants" / "0.png").write_bytes(b"no image")
    dataset = load_dataset("folder", root=tree, size=80)
    for workers in (0, 1):
        with pytest.raises(UserError, match=r"^image file .*ants/0.png cannot be read") as caught:
            list(eval_loader(dataset, 4, device=CPU, workers=workers))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: None, "there is no directory"),
        (lambda root: (root / "ants").mkdir(parents=True), "two or more class folders, found 1"),
        (lambda root: [(root / n).mkdir(parents=True) for n in ("ants", "bees")], "holds no images"),
    ],
)
def test_wrong_trees_are_explained(tmp_path, spoil, message):
    spoil(tmp_path / "wrong")
    with pytest.raises(UserError, match=message):
        load_dataset("folder", root=tmp_path / "wrong")


def test_folder_needs_a_root_and_equal_classes(tree):
    with pytest.raises(UserError, match="needs a root"):
        load_dataset("folder")
    (tree / "test" / "bees").rename(tree / "test" / "wasps")
    with pytest.raises(UserError, match="in one only: bees; wasps"):
        load_dataset("folder", root=tree)


def test_a_folder_beside_the_parts_that_is_none_of_them_is_told(tree):
    (tree / "test").rename(tree / "eval")
    (told,) = [remark for remark in DATASETS["folder"](root=tree).remarks if remark.startswith("eval of ")]
    assert "is left out: the parts are called train, training, test, testing, val, valid, validation" in told


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("training_set", "test_set"), "test_set; training_set"),
        (("seg_train", "seg_test"), "seg_test; seg_train"),
        (("training_set", "test"), "test; training_set"),
    ],
)
def test_parts_of_other_names_are_not_taken_for_classes(tree, names, told):
    for before, now in zip(("train", "test"), names, strict=True):
        (tree / before).rename(tree / now)
    with pytest.raises(UserError, match=f"holds {told}, with class folders inside: that looks like parts of a split"):
        load_dataset("folder", root=tree)


def test_a_test_part_among_the_classes_is_not_one_but_a_class_may_be_called_so(tree):
    for folder in list((tree / "train").iterdir()):
        folder.rename(tree / folder.name)
    (tree / "train").rmdir()
    with pytest.raises(UserError, match="holds test, with class folders inside"):
        load_dataset("folder", root=tree)
    shutil.rmtree(tree / "test")
    (tree / "ants").rename(tree / "test tubes")
    assert load_dataset("folder", root=tree).classes == ("bees", "test tubes")


def test_images_that_lie_in_no_class_folder_are_told_where_to_go(tree):
    flat = tree / "flat"
    flat.mkdir()
    for place, file in enumerate((tree / "train").rglob("*.png")):
        shutil.copy(file, flat / f"{place}.png")
    with pytest.raises(UserError, match=r"found 0: \[\]; \d+ image\(s\) lie in it directly, put each into a folder"):
        load_dataset("folder", root=flat)


def test_linked_folders_are_read_once_and_links_to_above_are_not_followed(tree, tmp_path_factory):
    def images():
        return len(DATASETS["folder"](root=tree).train)

    before, store = images(), tmp_path_factory.mktemp("store")
    shutil.copy(next((tree / "train" / "ants").glob("*.png")), store / "more.png")
    for name in ("one", "again"):
        (tree / "train" / "ants" / name).symlink_to(store)
    (tree / "train" / "ants" / "up").symlink_to(tree)
    assert images() == before + 1
