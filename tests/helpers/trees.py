"""Tiny data sets in the layouts in which the real ones lie on disk."""

import io
import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

SYNSETS = {
    "n01443537": "goldfish, Carassius auratus",
    "n01629819": "European fire salamander, Salamandra salamandra",
    "n02012849": "crane",
    "n03126707": "crane",
}
BIRDS = ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross")
VARIANTS = ("737-300", "Cessna 172", "F/A-18")
CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012")


def write_tree(name: str, root: Path, *, classes: int = 3, train: int = 4, test: int = 2) -> None:
    """Write a tiny data set where the real one's `load(root=root)` looks for it.

    Args:
        name: cifar10, cifar100, tiny_imagenet, imagenet, cub200, aircraft, cars or folder.
        classes: how many (the CIFAR sets: at most the real number; read them under `any_checksum()`).
        train, test: images of every class (cifar10: `train` in each of its five files).
    """
    WRITERS[name](Path(root), classes, train, test)


def any_checksum() -> AbstractContextManager:
    """Let torchvision read CIFAR files that are not the real ones; also works as a decorator of a test."""
    return mock.patch("torchvision.datasets.cifar.check_integrity", new=mock.Mock(return_value=True))


def cifar_tree(root: Path, source: type[datasets.CIFAR10], labels_key: str, *, classes=10, train=2, test=2) -> None:
    """Write a tiny CIFAR; every file of the training set holds `train` images of each class."""
    folder = root / source.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    counts = [(file, train) for file, _ in source.train_list] + [(file, test) for file, _ in source.test_list]
    for name, count in counts:
        data = rng.integers(0, 256, (classes * count, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": data, labels_key: list(range(classes)) * count}))
    names = {source.meta["key"]: [f"class {i}" for i in range(classes)]}
    (folder / source.meta["filename"]).write_bytes(pickle.dumps(names))


def jpeg(label: int, number: int, side: int | None = None) -> bytes:
    """Return a smooth random picture, about 300x250 px or square with the given side; classes differ in colour."""
    rng = np.random.default_rng([label, number])
    size = (side, side) if side else (int(rng.integers(270, 330)), int(rng.integers(220, 280)))
    pixels = rng.integers(0, 120, (3, 3, 3)) + np.random.default_rng(label).integers(0, 136, 3)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=60)
    return file.getvalue()


def write_jpeg(path: Path, label: int, number: int, side: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(label, number, side))


def _numbered(classes: int, train: int, test: int) -> Iterator[tuple[str, int, int]]:
    """Yield (part, class, number) of every image; numbers go on from train to test."""
    for label in range(classes):
        for number in range(train + test):
            yield "train" if number < train else "test", label, number


def _names(known: tuple[str, ...], count: int, more: str) -> list[str]:
    return [known[k] if k < len(known) else more.format(k + 1) for k in range(count)]


def _cifar(source: type[datasets.CIFAR10], key: str):
    def write(root: Path, classes: int, train: int, test: int) -> None:
        cifar_tree(root, source, key, classes=classes, train=train, test=test)

    return write


def _class_folders(root: Path, names: list[str], train: int, test: int, held_out: str) -> None:
    for part, k, i in _numbered(len(names), train, test):
        write_jpeg(root / (part if part == "train" else held_out) / names[k] / f"{names[k]}_{i}.JPEG", k, i)


def _folder(root: Path, classes: int, train: int, test: int) -> None:
    _class_folders(root, [f"class_{k}" for k in range(classes)], train, test, "test")


def _imagenet(root: Path, classes: int, train: int, test: int) -> None:
    _class_folders(root, _names(tuple(SYNSETS), classes, "n9{:07}"), train, test, "val")


def _tiny_imagenet(root: Path, classes: int, train: int, test: int) -> None:
    folder, lines = root / "tiny-imagenet-200", []
    wnids = _names(tuple(SYNSETS), classes, "n9{:07}")
    for part, k, i in _numbered(classes, train, test):
        if part == "train":
            write_jpeg(folder / "train" / wnids[k] / "images" / f"{wnids[k]}_{i}.JPEG", k, i, 64)
        else:
            name = f"val_{len(lines)}.JPEG"
            write_jpeg(folder / "val" / "images" / name, k, i, 64)
            lines.append(f"{name}\t{wnids[k]}\t0\t32\t44\t62\n")
    for wnid in wnids:
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t63\t63\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in reversed(wnids)))  # not sorted in the real one
    words = {"n00001740": "entity", **{wnid: f"thing {wnid}" for wnid in wnids}, **SYNSETS}
    (folder / "words.txt").write_text("".join(f"{wnid}\t{word}\n" for wnid, word in words.items()))


def _cub200(root: Path, classes: int, train: int, test: int) -> None:
    folder = root / "CUB_200_2011"
    names = [f"{k + 1:03}.{bird}" for k, bird in enumerate(_names(BIRDS, classes, "Bird_{}"))]
    lists = {"images": [], "image_class_labels": [], "train_test_split": []}
    for number, (part, k, i) in enumerate(_numbered(classes, train, test), 1):
        path = f"{names[k]}/{names[k][4:]}_{i:04}_{number}.jpg"
        write_jpeg(folder / "images" / path, k, i)
        for rows, value in zip(lists.values(), (path, k + 1, int(part == "train")), strict=True):
            rows.append(f"{number} {value}\n")
    lists["classes"] = [f"{k} {name}\n" for k, name in enumerate(names, 1)]
    for name, rows in lists.items():
        (folder / f"{name}.txt").write_text("".join(rows))


def _aircraft(root: Path, classes: int, train: int, test: int) -> None:
    folder = root / "fgvc-aircraft-2013b" / "data"
    variants = _names(VARIANTS, classes, "Variant {}")
    lines = {"train": [], "test": []}
    for number, (part, k, i) in enumerate(_numbered(classes, train, test)):
        write_jpeg(folder / "images" / f"{number:07}.jpg", k, i)
        lines[part].append(f"{number:07} {variants[k]}\n")
    (folder / "images_variant_trainval.txt").write_text("".join(lines["train"]))
    (folder / "images_variant_test.txt").write_text("".join(lines["test"]))
    (folder / "variants.txt").write_text("".join(f"{name}\n" for name in variants))


def _cars(root: Path, classes: int, train: int, test: int) -> None:
    folder, rows = root / "stanford_cars", {"train": [], "test": []}
    for part, k, i in _numbered(classes, train, test):
        name = f"{len(rows[part]) + 1:05}.jpg"
        write_jpeg(folder / f"cars_{part}" / name, k, i)
        rows[part].append((1, 2, 30, 40, k + 1, name))
    fields = [(field, object) for field in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")]
    annotations = {part: {"annotations": np.array(rows[part], dtype=fields)} for part in rows}
    (folder / "devkit").mkdir(exist_ok=True)
    names = np.array(_names(CARS, classes, "Car {} 2012"), dtype=object)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    savemat(folder / "devkit" / "cars_train_annos.mat", annotations["train"])
    savemat(folder / "cars_test_annos_withlabels.mat", annotations["test"])


WRITERS = {
    "cifar10": _cifar(datasets.CIFAR10, "labels"),
    "cifar100": _cifar(datasets.CIFAR100, "fine_labels"),
    "tiny_imagenet": _tiny_imagenet,
    "imagenet": _imagenet,
    "cub200": _cub200,
    "aircraft": _aircraft,
    "cars": _cars,
    "folder": _folder,
}


def insects(folder: Path) -> Path:
    """Write 12 train and 6 test images of two classes as class folders, sizes that differ, and return their root."""
    rng, root = np.random.default_rng(0), folder / "insects"
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ants", "bees"):
            for i in range(count):
                path = root / part / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = (int(rng.integers(20, 50)), int(rng.integers(20, 50)), 3)
                Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(path)
    return root
