"""Data sets and loaders: sizes, splits, augmentation against torchvision, errors that name the fix."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms import v2
from trees import any_checksum, cifar_tree

from adautomix.data import DATASETS, load_dataset
from adautomix.data.base import IN_MEMORY, MemorySplit, PathSplit
from adautomix.data.images import read_image
from adautomix.data.loader import MemoryLoader, crop_and_flip, eval_loader, train_loader
from adautomix.data.photos import whole_photos
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


def test_crop_and_flip_equals_torchvisions_reflect_pad_and_crop():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 3, 9, 12), generator=rng, dtype=torch.uint8)
    shift = torch.tensor([[-4, 4], [4, -4], [0, 0], [3, -1], [-2, 0], [1, 2]])
    mirror = torch.tensor([False, False, True, True, False, True])
    ours = crop_and_flip(images, shift, mirror)
    for i in range(6):
        padded = v2.functional.pad(images[i], [4, 4, 4, 4], padding_mode="reflect")
        top, left = (shift[i] + 4).tolist()
        expected = v2.functional.crop(padded, top, left, 9, 12)
        expected = v2.functional.horizontal_flip(expected) if mirror[i] else expected
        assert torch.equal(ours[i], expected), i


def test_an_epoch_is_a_function_of_seed_and_number(tiny_dataset):
    def epoch(seed, number):
        loader = train_loader(tiny_dataset, 8, device=CPU, seed=seed)
        return torch.cat([batch.x for batch in loader.epoch(number)])

    assert torch.equal(epoch(0, 3), epoch(0, 3))
    assert not torch.equal(epoch(0, 3), epoch(0, 4))
    assert not torch.equal(epoch(0, 3), epoch(1, 3))


def test_training_sees_every_image_once_and_drops_the_last_incomplete_batch(tiny_dataset):
    loader = train_loader(tiny_dataset, 16, device=CPU, seed=0)
    index = torch.cat([batch.index for batch in loader.epoch(0)])
    assert len(loader) == 2
    assert len(index) == len(index.unique()) == 32


def test_a_batch_larger_than_the_set_becomes_the_set(tiny_dataset):
    loader = train_loader(tiny_dataset, 1000, device=CPU, seed=0)
    assert [len(batch.y) for batch in loader.epoch(0)] == [40]


def test_evaluation_sees_every_image_once_in_order_as_it_is(tiny_dataset):
    batches = list(eval_loader(tiny_dataset, 8, device=CPU))
    assert [len(batch.y) for batch in batches] == [8, 8, 4]
    torch.testing.assert_close(torch.cat([b.x for b in batches]), tiny_dataset.test.images.float() / 255)


def test_flip_mirrors_about_half_and_only_where_allowed():
    images = torch.zeros(400, 3, 4, 4, dtype=torch.uint8)
    images[:, :, :, 0] = 255
    split = MemorySplit(images, torch.zeros(400, dtype=torch.long))
    for flip, low, high in ((True, 150, 250), (False, 0, 0)):
        loader = MemoryLoader(split, 400, device=CPU, shuffle=True, flip=flip)
        mirrored = int((next(iter(loader)).x[:, 0, 0, 3] == 1).sum())
        assert low <= mirrored <= high


def test_sets_up_to_64_px_live_in_memory():
    assert IN_MEMORY == 64
    for name in ("digits", "photos"):
        assert isinstance(load_dataset(name).train, MemorySplit)
    assert set(DATASETS) >= {"digits", "photos", "cifar10", "cifar100", "folder"}


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
    with pytest.raises(UserError, match=r"validation=0.9 leaves none of the 2 training images"):
        load_dataset("digits", per_class=2, validation=0.9)
