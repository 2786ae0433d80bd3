"""Stanford Cars (Krause et al. 2013), in torchvision's layout or in class folders.

The original address is dead, so there is no download.
"""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from adautomix.data.archives import default_root, listed, photographs, side_or_default, unreadable
from adautomix.data.base import Dataset, PathSplit
from adautomix.data.class_folders import scan_both
from adautomix.utils.errors import UserError

LAYOUT = (
    "The set's original address is dead: search Kaggle or Hugging Face for 'Stanford Cars'. Put there either "
    "stanford_cars/ with devkit/cars_meta.mat, devkit/cars_train_annos.mat, cars_test_annos_withlabels.mat, "
    "cars_train/*.jpg and cars_test/*.jpg, or class folders: car_data/train/<class>/*.jpg and "
    "car_data/test/<class>/*.jpg"
)
PARTS = ("devkit", "cars_train", "cars_test", "cars_test_annos_withlabels.mat")


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the cars: 8,144 / 8,041 images in 196 classes, by default at 224 px.

    Args:
        root: holds stanford_cars/ or car_data/ (or car_data/car_data/), or is one of them.
        size: 32 px or more.
    Raises: UserError naming what is missing.
    """
    size, root = side_or_default("cars", size), default_root("cars", root)
    for folder in (root / "stanford_cars", root):
        if any((folder / part).exists() for part in PARTS):
            train, test, classes = _annotated(folder)
            break
    else:
        folder = _class_folders(root)
        train, test, classes = scan_both(folder / "train", folder / "test")
    return photographs("cars", classes, train, test, size=size, folder=folder, known_classes=196)


def _class_folders(root: Path) -> Path:
    for folder in (root / "car_data" / "car_data", root / "car_data", root):
        there = [(folder / part).is_dir() for part in ("train", "test")]
        if all(there):
            return folder
        if any(there):
            raise UserError(f"cars: {folder / ('train', 'test')[there.index(False)]} is missing. {LAYOUT}")
    raise UserError(f"cars is not in {root}. {LAYOUT}")


def _annotated(folder: Path) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    meta = _mat(folder / "devkit" / "cars_meta.mat", "class_names")
    classes = tuple(str(name) for name in meta)
    train = _split(folder / "devkit" / "cars_train_annos.mat", folder / "cars_train", classes)
    test = _split(folder / "cars_test_annos_withlabels.mat", folder / "cars_test", classes)
    return train, test, classes


def _split(source: Path, images: Path, classes: tuple[str, ...]) -> PathSplit:
    rows = _mat(source, "annotations")
    try:
        files, labels = [str(name) for name in rows["fname"]], [int(k) - 1 for k in rows["class"]]  # classes from 1
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(f"{source} must hold the fields fname and class: {error}") from error
    if wrong := sorted({k + 1 for k in labels if not 0 <= k < len(classes)}):
        raise UserError(f"{source} has class {wrong[0]}; devkit/cars_meta.mat names 1 to {len(classes)}")
    return listed(source, [images / file for file in files], labels, classes)


def _mat(path: Path, variable: str) -> np.ndarray:
    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True, variable_names=[variable])[variable])
    except KeyError:
        raise UserError(f"{path} holds no {variable!r}") from None
    except Exception as error:  # on broken bytes scipy's reader raises whatever they lead it to, IndexError included
        raise unreadable(path, error) from error
