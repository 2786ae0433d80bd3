"""A user's folder of images: is it read as it looks, and told what is wrong with it?"""

import numpy as np
import pytest
import torch
from PIL import Image

from adautomix.data import load_dataset
from adautomix.data.base import PathSplit
from adautomix.data.images import read_image
from adautomix.data.loader import eval_loader, train_loader
from adautomix.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def tree(tmp_path):
    """A tree of 12 train and 6 test images in two classes, sizes that differ."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ants", "bees"):
            for i in range(count):
                path = tmp_path / "insects" / part / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = (int(rng.integers(20, 50)), int(rng.integers(20, 50)), 3)
                Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(path)
    return tmp_path / "insects"


def test_folder_reads_train_and_test(tree):
    dataset = load_dataset("folder", root=tree, size=16)
    assert dataset.classes == ("ants", "bees")
    assert dataset.label == "folder-insects"
    assert dataset.train.images.shape == (12, 3, 16, 16)
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_folder_accepts_val_for_test(tree):
    (tree / "test").rename(tree / "val")
    assert len(load_dataset("folder", root=tree).test) == 6


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


def test_broken_and_empty_files_are_named(tree):
    (tree / "train" / "ants" / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 image file\(s\) cannot be read.*ants/0.png"):
        load_dataset("folder", root=tree)
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
    with pytest.raises(UserError, match="in one only: bees, wasps"):
        load_dataset("folder", root=tree)


def test_read_image_keeps_the_centre_square(tmp_path):
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_image(tmp_path / "wide.png", 10) == 200).all()


def test_sixteen_bit_grey_and_turned_photographs_are_read_as_they_look(tmp_path):
    Image.fromarray(np.full((8, 8), 30000, dtype=np.uint16)).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png", 8) == 30000 // 256).all()
    half = np.zeros((8, 8, 3), dtype=np.uint8)
    half[:4] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways: turn clockwise
    Image.fromarray(half).save(tmp_path / "turned.png", exif=exif)
    image = read_image(tmp_path / "turned.png", 8)
    assert (image[:, :, 4:] == 255).all()
    assert (image[:, :, :4] == 0).all()
