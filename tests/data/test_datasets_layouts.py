"""Other layouts: which ways of sorting images into folders are read, and which are told how to mend?"""

import shutil

import pytest
from helpers.layouts import TEST, TRAIN, check_pictures, load
from helpers.trees import write_tree

from adautomix.utils.errors import UserError


@pytest.mark.parametrize("inner", ["images", "."])
def test_tiny_imagenets_validation_images_may_be_sorted_into_class_folders(tmp_path, inner):
    write_tree("tiny_imagenet", tmp_path, train=TRAIN, test=TEST)
    val = tmp_path / "tiny-imagenet-200" / "val"
    for line in (val / "val_annotations.txt").read_text().splitlines():
        file, wnid, *_ = line.split("\t")
        (val / wnid / inner).mkdir(parents=True, exist_ok=True)
        (val / "images" / file).rename(val / wnid / inner / file)
    (val / "val_annotations.txt").unlink()
    check_pictures(load("tiny_imagenet", tmp_path), 64)  # beside an empty images/
    (val / "images").rmdir()
    check_pictures(load("tiny_imagenet", tmp_path), 64)
    shutil.rmtree(val / "n01629819")
    with pytest.raises(UserError, match="val/n01629819"):
        load("tiny_imagenet", tmp_path)


def test_tiny_imagenets_half_sorted_validation_images_are_refused(tmp_path):
    write_tree("tiny_imagenet", tmp_path)
    val = tmp_path / "tiny-imagenet-200" / "val"
    (val / "n01443537").mkdir()
    (val / "images" / "val_0.JPEG").rename(val / "n01443537" / "val_0.JPEG")
    with pytest.raises(UserError, match=r"names 1 image\(s\) that do not exist: .*val_0.JPEG"):
        load("tiny_imagenet", tmp_path)


def test_tiny_imagenet_classes_that_share_a_word_keep_their_ids(tmp_path):
    write_tree("tiny_imagenet", tmp_path, classes=4)
    expected = ("goldfish", "European fire salamander", "n02012849", "n03126707")  # both of the last are "crane"
    assert load("tiny_imagenet", tmp_path).classes == expected


@pytest.mark.parametrize("outer", ["car_data", "car_data/car_data", "."])
def test_cars_may_lie_in_class_folders(tmp_path, outer):
    write_tree("folder", tmp_path / "folder", train=TRAIN, test=TEST)
    (tmp_path / "cars" / outer).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "folder").rename(tmp_path / "cars" / outer)
    dataset = load("cars", tmp_path / "cars")
    check_pictures(dataset)
    assert dataset.classes == ("class_0", "class_1", "class_2")
    (told,) = dataset.remarks
    assert "has 3 classes, cars has 196: a part of the set, or another one" in told
    shutil.rmtree(tmp_path / "cars" / outer / "test")
    with pytest.raises(UserError, match=r"/test is missing.*address is dead.*Kaggle or Hugging Face"):
        load("cars", tmp_path / "cars")


def test_imagenet_says_that_validation_images_must_be_sorted(tmp_path):
    write_tree("imagenet", tmp_path)
    for path in list((tmp_path / "val").rglob("*.JPEG")):
        path.rename(tmp_path / "val" / path.name)
    with pytest.raises(UserError, match=r"val holds 6 images outside class folders: .*; .* and 1 more.*valprep"):
        load("imagenet", tmp_path)


def test_imagenet_names_packed_classes_and_classes_in_one_split_only(tmp_path):
    write_tree("imagenet", tmp_path)
    (tmp_path / "train" / "n01443537.tar").write_bytes(b"kept after unpacking")
    assert len(load("imagenet", tmp_path).train) == 12
    (tmp_path / "train" / "n01440764.tar").write_bytes(b"not unpacked")
    with pytest.raises(UserError, match=r"packed classes: n01440764.tar\. "):
        load("imagenet", tmp_path)
    (tmp_path / "train" / "n01440764.tar").unlink()
    shutil.rmtree(tmp_path / "val" / "n01443537")
    with pytest.raises(UserError, match="in one only: n01443537"):
        load("imagenet", tmp_path)
