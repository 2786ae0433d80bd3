"""Any tree of class folders of images.

Either `root/train/<class>/...` with `root/test/` or `root/val/`, or `root/<class>/...`, of which a fixed share of every
class is then held out for test.
"""

import math
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
        fingerprint=_fingerprint(root, [*train.paths, *test.paths]),
    )


def _find(root: Path) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    train = root / "train"
    if not train.is_dir():
        return _held_out(*_scan(root))
    held_out = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if held_out is None:
        return _held_out(*_scan(train))
    (train_split, classes), (test_split, test_classes) = _scan(train), _scan(held_out)
    if classes != test_classes:
        differ = sorted(set(classes) ^ set(test_classes))
        raise UserError(
            f"{train} and {held_out} must have the same classes; these are in one only: {', '.join(differ)}"
        )
    return train_split, test_split, classes


def _scan(folder: Path) -> tuple[PathSplit, tuple[str, ...]]:
    """Return the image files below every class folder, in a fixed order."""
    classes = sorted(d.name for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    if len(classes) < 2:
        raise UserError(f"{folder} must hold two or more class folders, found {len(classes)}: {classes}")
    paths, labels = [], []
    for k, name in enumerate(classes):
        files = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
        if not files:
            raise UserError(f"class folder {folder / name} holds no images ({', '.join(sorted(EXTENSIONS))})")
        paths += files
        labels += [k] * len(files)
    return PathSplit(paths, torch.tensor(labels)), tuple(classes)


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


def _fingerprint(root: Path, paths: list[Path]) -> str:
    sizes = [path.stat().st_size for path in paths]
    if empty := [str(path) for path, size in zip(paths, sizes, strict=True) if size == 0]:
        raise UserError(f"{len(empty)} image file(s) are empty; delete or replace them: {'; '.join(empty[:5])}")
    return fingerprint([(path.relative_to(root).as_posix(), size) for path, size in zip(paths, sizes, strict=True)])
