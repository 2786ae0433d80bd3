"""The sets of the paper's tables, read from tiny trees in their real layouts."""

import re
import shutil
from contextlib import suppress
from urllib.error import URLError

import pytest
from trees import WRITERS, any_checksum, jpeg, write_tree

from adautomix.data import DATASETS, aircraft, cub200, load_dataset, tiny_imagenet
from adautomix.data.base import MemorySplit, PathSplit
from adautomix.errors import UserError

TRAIN, TEST = 4, 2
CLASSES = {
    "tiny_imagenet": ("goldfish", "European fire salamander", "crane"),
    "imagenet": ("n01443537", "n01629819", "n02012849"),
    "cub200": ("Black footed Albatross", "Laysan Albatross", "Sooty Albatross"),
    "aircraft": ("737-300", "Cessna 172", "F/A-18"),
    "cars": ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012"),
}
INNER = {
    "tiny_imagenet": "tiny-imagenet-200",
    "imagenet": ".",
    "cub200": "CUB_200_2011",
    "aircraft": "fgvc-aircraft-2013b",
    "cars": "stanford_cars",
}
LISTS = {
    "tiny_imagenet": ("wnids.txt", "words.txt", "val/val_annotations.txt"),
    "imagenet": (),
    "cub200": ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"),
    "aircraft": ("data/variants.txt", "data/images_variant_trainval.txt", "data/images_variant_test.txt"),
    "cars": ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"),
}
FOLDERS = {
    "tiny_imagenet": ("train", "train/n01629819", "val", "val/images"),
    "imagenet": ("train", "val", "val/n01629819"),
    "cub200": ("images",),
    "aircraft": ("data/images",),
    "cars": ("devkit", "cars_train", "cars_test"),
}
ARCHIVES = [module.ARCHIVE for module in (tiny_imagenet, cub200, aircraft)]
EVERY = pytest.mark.parametrize("name", CLASSES)
DOWNLOADED = pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)


def load(name, root, **options):
    """Return the set with its files not yet read."""
    return DATASETS[name](root=root, **options)


def check_pictures(dataset, side=None):
    """Every file of both splits is the picture that was written for its class and split, and none is missing."""
    for split, numbers in ((dataset.train, range(TRAIN)), (dataset.test, range(TRAIN, TRAIN + TEST))):
        found = {(k, path.read_bytes()) for path, k in zip(split.paths, split.labels.tolist(), strict=True)}
        assert found == {(k, jpeg(k, i, side)) for k in range(3) for i in numbers}
        assert len(split) == len(found)


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


@DOWNLOADED
def test_a_missing_set_is_downloaded_once_with_its_checksum(tmp_path, monkeypatch, archive):
    calls = []

    def download(url, download_root, extract_root, md5):
        calls.append((url, download_root, md5))
        write_tree(archive.name, extract_root)

    monkeypatch.setattr("adautomix.data.archives.download_and_extract_archive", download)
    first, second = load(archive.name, tmp_path / "new"), load(archive.name, tmp_path / "new")
    expected = {
        "tiny_imagenet": ("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"),
        "cub200": (
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "97eceeb196236b17998738112f37df78",
        ),
        "aircraft": (
            "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
            "d4acdd33327262359767eeaa97a4f732",
        ),
    }
    url, md5 = expected[archive.name]
    assert calls == [(url, tmp_path / "new", md5)]
    assert first.fingerprint == second.fingerprint
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {archive.folder, ".lock"}


@DOWNLOADED
def test_an_archive_put_there_by_hand_is_unpacked_without_a_network(tmp_path, monkeypatch, archive):
    form = "zip" if archive.url.endswith("zip") else "gztar"
    write_tree(archive.name, tmp_path / "source")
    packed = shutil.make_archive(str(tmp_path / "packed"), form, tmp_path / "source")
    (tmp_path / "root").mkdir()
    shutil.move(packed, tmp_path / "root" / archive.url.rpartition("/")[2])
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda path, md5=None: True)
    assert len(load(archive.name, tmp_path / "root").train) == 12


@DOWNLOADED
def test_a_failed_download_says_what_to_put_where_and_leaves_no_half_set(tmp_path, monkeypatch, archive):
    def half(url, download_root, extract_root, md5):
        (extract_root / archive.folder / archive.parts[0]).mkdir(parents=True)
        raise URLError("network unreachable")

    monkeypatch.setattr("adautomix.data.archives.download_and_extract_archive", half)
    file = re.escape(archive.url.rpartition("/")[2])
    advice = rf"network unreachable.*put {file} from {re.escape(archive.url)} \(md5 {archive.md5}\) into {tmp_path}"
    for _ in range(2):
        with pytest.raises(
            UserError, match=rf"{advice}, or unpack it there so that {tmp_path / archive.folder} exists"
        ):
            load(archive.name, tmp_path)
    (tmp_path / archive.url.rpartition("/")[2]).write_bytes(b"cut off")
    with pytest.raises(UserError, match=rf"network unreachable.*; the {file} there is not whole"):
        load(archive.name, tmp_path)


def test_sets_without_a_download_say_where_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*train and no .*val.*ILSVRC2012_img_val.tar.*image-net.org"):
        load("imagenet", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"cars is not in .*address is dead.*Kaggle or Hugging Face.*cars_meta.mat"):
        load("cars", tmp_path / "nowhere")


@pytest.mark.parametrize("name", WRITERS)
@any_checksum()
def test_trees_have_the_classes_and_images_asked_for(tmp_path, name):
    write_tree(name, tmp_path, classes=5, train=2, test=1)
    dataset = load_dataset(name, root=tmp_path)
    assert (dataset.num_classes, len(dataset.test)) == (5, 5)
    assert len(dataset.train) == (50 if name == "cifar10" else 10)
