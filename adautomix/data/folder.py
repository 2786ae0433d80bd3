"""Any tree of class folders of images.

Either `root/train/<class>/...` with `root/test/` or `root/val/`, or `root/<class>/...`, of which a fixed share of every
class is then held out for test.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from adautomix.data.base import Dataset, PathSplit, fingerprint
from adautomix.data.images import EXTENSIONS
from adautomix.errors import UserError
from adautomix.seeding import generator_for

TEST_SHARE = 0.2
"""Share of every class held out when the tree has no test/ or val/."""
DEFAULT_SIZE = 32


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the image files below `root`, to be read at `size` px (default 32): shorter side, then centre square.

    Raises: UserError if root is missing, a class or a file is empty, or the splits' classes differ.
    """
    if root is None:
        raise UserError("the data set folder needs a root: the directory that holds the class folders")
    if not root.is_dir():
        raise UserError(f"there is no directory {root}; root must hold train/<class>/ and test/<class>/, or <class>/")
    size = DEFAULT_SIZE if size is None else size
    train, test, classes = _find(root)
    return Dataset(
        name="folder",
        label=f"folder-{root.resolve().name}",
        classes=classes,
        train=train,
        test=test,
        size=size,
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
        pad=size // 8,
        flip=True,
        fingerprint=fingerprint_files(root, [*train.paths, *test.paths]),
    )


def _find(root: Path) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    train = root / "train"
    if not train.is_dir():
        return _held_out(*scan(root))
    held_out = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if held_out is None:
        return _held_out(*scan(train))
    return scan_both(train, held_out)


def scan_both(train: Path, test: Path) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    """Return the images of two trees of class folders, and their classes.

    Raises: UserError if the classes differ, or one has no images.
    """
    (train_split, classes), (test_split, test_classes) = scan(train), scan(test)
    if classes != test_classes:
        differ = sorted(set(classes) ^ set(test_classes))
        raise UserError(
            f"{train} and {test} must have the same classes; these are in one only: {', '.join(differ[:20])}"
            + (f" and {len(differ) - 20} more" if len(differ) > 20 else "")
        )
    return train_split, test_split, classes


def scan(folder: Path, classes: Sequence[str] | None = None) -> tuple[PathSplit, tuple[str, ...]]:
    """Return the image files below every class folder in a fixed order, and the classes.

    Args:
        classes: the folders to read; default: all, sorted.
    Raises: UserError naming a class folder that is missing or holds no images.
    """
    if classes is None:
        classes = sorted(d.name for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    if len(classes) < 2:
        raise UserError(f"{folder} must hold two or more class folders, found {len(classes)}: {list(classes)}")
    paths, labels = [], []
    for k, name in enumerate(classes):
        files = images_below(folder / name)
        if not files:
            raise UserError(f"class folder {folder / name} holds no images ({', '.join(sorted(EXTENSIONS))})")
        paths += files
        labels += [k] * len(files)
    return PathSplit(paths, torch.tensor(labels)), tuple(classes)


def images_below(folder: Path) -> list[Path]:
    """Return the image files at any depth, sorted; hidden ones ("._a.jpg" of a Mac's archive) are left out.

    No file's status is asked for: on a network drive that is what takes long.
    Raises: UserError naming a folder that cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"folder {error.filename} cannot be listed ({error.strerror})") from error

    found = os.walk(folder, onerror=refuse)
    files = ((place, name) for place, _, names in found for name in names if not name.startswith("."))
    return sorted(Path(place, name) for place, name in files if os.path.splitext(name)[1].lower() in EXTENSIONS)


def _held_out(full: PathSplit, classes: tuple[str, ...]) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    train, test = [], []
    for k, name in enumerate(classes):
        rows = torch.where(full.labels == k)[0]
        if len(rows) < 2:
            raise UserError(f"class {name!r} has one image; a split into train and test needs two or more")
        rows = rows[torch.randperm(len(rows), generator=generator_for(0, "held-out", name))]
        n_test = math.ceil(len(rows) * TEST_SHARE)
        test.append(rows[:n_test])
        train.append(rows[n_test:])
    return full.take(torch.cat(train).sort().values), full.take(torch.cat(test).sort().values), classes


def fingerprint_files(root: Path, paths: Sequence[Path]) -> str:
    """Return the fingerprint of the files' names below `root` and sizes.

    Raises: UserError naming files that are missing or empty.
    """
    sizes = [_bytes(path) for path in paths]
    for wrong, what in ((None, "missing"), (0, "empty")):
        if found := [str(path) for path, size in zip(paths, sizes, strict=True) if size == wrong]:
            raise UserError(f"{len(found)} image file(s) are {what}; delete or replace them: {'; '.join(found[:5])}")
    return fingerprint([(path.relative_to(root).as_posix(), size) for path, size in zip(paths, sizes, strict=True)])


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere
        return None
