"""Any tree of class folders of images.

Either `root/train/<class>/...` with `root/test/<class>/...`, or `root/<class>/...`, of which a fixed share of every
class is then held out for test. The parts may have the other names in use (TRAIN, TEST), in any letter case.
"""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from adautomix.data.base import IMAGENET_MEAN, IMAGENET_STD, Dataset, PathSplit, split_off
from adautomix.data.class_folders import files_below, folders_in, scan, scan_both, suffix
from adautomix.data.fingerprints import fingerprint_files
from adautomix.data.images import EXTENSIONS
from adautomix.utils.errors import UserError

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""Names of the parts of a split; of several test parts the first in this order is taken."""
TEST_SHARE = 0.2
"""Share of every class held out when the tree has no test part."""
DEFAULT_SIZE = 32


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the image files below `root`, to be read at `size` px (default 32): shorter side, then centre square.

    Warns of files in class folders that are left out for their suffix.
    Raises: UserError if root is missing, a class or a file is empty, the splits' classes differ, or there is a test
        part but no training part.
    """
    if root is None:
        raise UserError("the data set folder needs a root: the directory that holds the class folders")
    if not root.is_dir():
        raise UserError(
            f"there is no directory {root}{'' if root.is_absolute() else f' in {Path.cwd()}'}; root must hold "
            "train/<class>/ and test/<class>/, or <class>/. If the images have moved, say where they are with --root"
        )
    size = DEFAULT_SIZE if size is None else size
    parts = _parts(root)
    train, test, classes = scan_both(*parts) if len(parts) == 2 else _held_out(*scan(parts[0]))
    _warn_of_others(root, [part / name for part in parts for name in classes])
    return Dataset(
        name="folder",
        label=f"folder-{root.resolve().name}",
        classes=classes,
        train=train,
        test=test,
        size=size,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        pad=size // 8,
        flip=True,
        fingerprint=fingerprint_files(root, [*train.paths, *test.paths], content=True),
    )


def _parts(root: Path) -> list[Path]:
    """Return the folders that hold the class folders: those of train and test, or the one of both."""
    folders = folders_in(root)
    train, test = ([d for name in names for d in folders if d.name.lower() == name] for names in (TRAIN, TEST))
    if len(train) > 1:
        raise UserError(f"{root} holds {len(train)} training parts, {' and '.join(d.name for d in train)}; keep one")
    if test and not train and len(test) == len(folders):
        raise UserError(
            f"{root} holds no class folders, only parts of a split ({', '.join(d.name for d in test)}), and none of "
            "them is called train; rename the training part, or put the class folders themselves there"
        )
    return [*train, *test[:1]] if train else [root]


def _held_out(full: PathSplit, classes: tuple[str, ...]) -> tuple[PathSplit, PathSplit, tuple[str, ...]]:
    return *split_off(full, classes, lambda n: math.ceil(n * TEST_SHARE), "held-out"), classes


def _warn_of_others(root: Path, folders: Sequence[Path]) -> None:
    """Say which files of the class folders are no images to us: once, however often a set is loaded."""
    suffixes = Counter(suffix(name) for folder in folders for _, name in files_below(folder))
    others = {name or "without suffix": count for name, count in suffixes.most_common() if name not in EXTENSIONS}
    if others:
        _warn_once(
            f"{sum(others.values())} file(s) in the class folders of {root} are left out "
            f"({', '.join(f'{count} {name}' for name, count in others.items())}); "
            f"images are read from {', '.join(sorted(EXTENSIONS))}"
        )


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=3)  # Python forgets what it has said when anything uses catch_warnings
