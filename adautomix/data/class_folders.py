"""Trees of class folders: which image files they hold, in a fixed order, and of which classes."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from adautomix.data.base import PathSplit
from adautomix.data.images import EXTENSIONS
from adautomix.utils.errors import UserError, first_five


def scan_both(train: Path, test: Path) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    """Return the images of two trees of class folders, and their classes.

    Raises: UserError if the classes differ, or one has no images.
    """
    (train_split, classes), (test_split, test_classes) = scan(train), scan(test)
    if classes != test_classes:
        differ = sorted(set(classes) ^ set(test_classes))
        raise UserError(f"{train} and {test} must have the same classes; these are in one only: {first_five(differ)}")
    return train_split, test_split, classes


def scan(folder: Path, classes: Sequence[str] | None = None) -> tuple[PathSplit, tuple[str, ...]]:
    """Return the image files below every class folder in a fixed order, and the classes.

    Args:
        classes: the folders to read; default: all, sorted.
    Raises: UserError naming a class folder that cannot be listed or holds no images.
    """
    if classes is None:
        classes = sorted(d.name for d in folders_in(folder))
    if len(classes) < 2:
        raise UserError(f"{folder} must hold two or more class folders, found {len(classes)}: {list(classes)}")
    paths, labels = [], []
    for k, name in enumerate(classes):
        found = files_below(folder / name)
        files = sorted(Path(place, file) for place, file in found if suffix(file) in EXTENSIONS)
        if not files:
            raise UserError(f"class folder {folder / name} holds no images ({', '.join(sorted(EXTENSIONS))})")
        paths += files
        labels += [k] * len(files)
    return PathSplit(paths, torch.tensor(labels)), tuple(classes)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without the hidden ones."""
    return sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))


def files_below(folder: Path) -> list[tuple[str, str]]:
    """Return (folder, name) of all files at any depth; hidden ones ("._a.jpg" of a Mac's archive) are left out.

    No file's status is asked for: on a network drive that is what takes long.
    Raises: UserError naming a folder that cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"folder {error.filename} cannot be listed ({error.strerror})") from error

    found = os.walk(folder, onerror=refuse)
    return [(place, name) for place, _, names in found for name in names if not name.startswith(".")]


def suffix(name: str) -> str:
    """Return a file name's suffix in lower case, ".jpg"; "" if it has none."""
    return os.path.splitext(name)[1].lower()
