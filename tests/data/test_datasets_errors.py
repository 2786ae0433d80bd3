"""Damaged sets: is every missing, empty or contradictory file named?"""

import re
import shutil
from contextlib import suppress

import pytest
from helpers.layouts import EVERY, INNER, load
from helpers.trees import write_tree

from adautomix.utils.errors import UserError

LISTS = {
    "tiny_imagenet": ("wnids.txt", "words.txt", "val/val_annotations.txt"),
    "imagenet": (),
    "cub200": ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"),
    "aircraft": ("data/variants.txt", "data/images_variant_trainval.txt", "data/images_variant_test.txt"),
    "cars": ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"),
}
FOLDERS = {
    "tiny_imagenet": ("train", "train/n01629819", "val", "val/images"),
    "imagenet": ("val", "val/n01629819"),  # without train it can still be evaluated on
    "cub200": ("images",),
    "aircraft": ("data/images",),
    "cars": ("devkit", "cars_train", "cars_test"),
}


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in LISTS.items() for file in files])
def test_a_missing_list_is_named(tmp_path, name, file):
    write_tree(name, tmp_path)
    path = tmp_path / INNER[name] / file
    path.unlink()
    with pytest.raises(UserError, match=f"{re.escape(str(path))} is missing"):
        load(name, tmp_path)


@pytest.mark.parametrize(("name", "folder"), [(name, f) for name, folders in FOLDERS.items() for f in folders])
def test_a_missing_folder_is_named(tmp_path, name, folder):
    write_tree(name, tmp_path)
    shutil.rmtree(tmp_path / INNER[name] / folder)
    found = r"in one only: n01629819" if folder == "val/n01629819" else re.escape(str(tmp_path / INNER[name] / folder))
    with pytest.raises(UserError, match=found):
        load(name, tmp_path)


@pytest.mark.parametrize("name", ["tiny_imagenet", "cub200", "aircraft", "cars"])
def test_images_that_a_list_names_but_are_missing_are_named_and_counted(tmp_path, name):
    write_tree(name, tmp_path, test=3)
    paths = list(load(name, tmp_path).test.paths)
    for path in paths[1:8]:
        path.unlink()
    named = "; ".join(re.escape(str(path)) for path in paths[1:6])
    with pytest.raises(UserError, match=rf"names 7 image\(s\) that do not exist: {named} and 2 more"):
        load(name, tmp_path)


@EVERY
def test_empty_classes_and_empty_images_are_named(tmp_path, name):
    write_tree(name, tmp_path)
    dataset = load(name, tmp_path)
    of_class_1 = [path for path, k in zip(dataset.train.paths, dataset.train.labels.tolist(), strict=True) if k == 1]
    if name != "imagenet":
        whole = of_class_1[2].read_bytes()
        of_class_1[2].write_bytes(b"")
        with pytest.raises(UserError, match=rf"1 image file\(s\) are empty.*{re.escape(str(of_class_1[2]))}"):
            load(name, tmp_path)
        of_class_1[2].write_bytes(whole)
    if "imagenet" in name:
        for path in of_class_1:
            path.unlink()
        with pytest.raises(UserError, match=r"class folder .*n01629819 holds no images"):
            load(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "line", "message"),
    [
        ("aircraft", "data/variants.txt", "Tu 154", r"trainval.txt names no image of 1 class\(es\): Tu 154"),
        ("aircraft", "data/images_variant_test.txt", "0000000 Tu 154", "variants.txt does not hold 'Tu 154'"),
        ("aircraft", "data/images_variant_test.txt", "0000000", "line 7 of .*variant_test.txt must hold 2 fields"),
        ("cub200", "classes.txt", "4 004.Groove_billed_Ani", r"names no image of 1 class\(es\): Groove billed Ani"),
        ("cub200", "images.txt", "99 a/b.jpg", "image_class_labels.txt has no line for image 99, a/b.jpg"),
        ("cub200", "image_class_labels.txt", "1 7", "classes.txt does not hold '7'"),
        ("tiny_imagenet", "wnids.txt", "n99", "train/n99 cannot be listed"),
        ("tiny_imagenet", "val/val_annotations.txt", "val_0.JPEG\tn99\t0", "wnids.txt does not hold 'n99'"),
    ],
)
def test_lists_that_contradict_each_other_are_named(tmp_path, name, file, line, message):
    write_tree(name, tmp_path)
    with (tmp_path / INNER[name] / file).open("a") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(UserError, match=message):
        load(name, tmp_path)


def test_cars_classes_without_a_name_or_an_image_are_named(tmp_path):
    for part, count in (("two", 2), ("three", 3)):
        write_tree("cars", tmp_path / part, classes=count)
    meta = "stanford_cars/devkit/cars_meta.mat"
    two, three = ((tmp_path / part / meta).read_bytes() for part in ("two", "three"))
    (tmp_path / "two" / meta).write_bytes(three)
    with pytest.raises(UserError, match=r"cars_train_annos.mat names no image of 1 class\(es\): Ram C/V"):
        load("cars", tmp_path / "two")
    (tmp_path / "three" / meta).write_bytes(two)
    with pytest.raises(UserError, match=r"cars_train_annos.mat has class 3; devkit/cars_meta.mat names 1 to 2"):
        load("cars", tmp_path / "three")


@EVERY
def test_spoilt_lists_give_no_other_error_than_ours(tmp_path, name):
    write_tree(name, tmp_path)
    for file in LISTS[name]:
        path = tmp_path / INNER[name] / file
        whole = path.read_bytes()
        cuts = [whole[: len(whole) * n // 9] for n in range(9)]
        for spoilt in (*cuts, b"\0" * 300, b"\xff\xfe nothing\n" * 20, whole.replace(b" ", b"\n").replace(b"\t", b"")):
            path.write_bytes(spoilt)
            with suppress(UserError):  # some are still a set, of fewer images
                load(name, tmp_path)
        path.unlink()
        path.mkdir()
        with pytest.raises(UserError, match=re.escape(str(path))):
            load(name, tmp_path)
        path.rmdir()
        path.write_bytes(whole)


@EVERY
def test_a_root_that_is_a_file_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=str(tmp_path / "file")):
        load(name, tmp_path / "file")
