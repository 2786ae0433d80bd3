"""Trees of class folders: which image files they hold, in a fixed order, and of which classes.

Hidden folders and those that systems leave behind (`SYSTEM`) are no classes, and nothing below them is an image.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from adautomix.data.base import PathSplit
from adautomix.data.images import EXTENSIONS, PLUGINS
from adautomix.utils.errors import UserError, first_five

SYSTEM = frozenset(
    {
        "__macosx",  # a Mac's zip
        "@eadir", "#recycle", "@recycle", "#snapshot",  # network drives of Synology and QNAP
        "$recycle.bin", "system volume information",  # Windows
        "lost+found",  # the root of a Linux file system
        "__pycache__",
    }
)  # fmt: skip
"""Folders, in lower case, that no person made. Those whose names begin with a dot (.ipynb_checkpoints) are hidden."""
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
"""Files, in lower case, that Windows puts among pictures: not worth a word."""
READ = f"images are read from {', '.join(sorted(EXTENSIONS))}"


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
        loose = sum(suffix(path.name) in EXTENSIONS for path in folder.iterdir())
        more = f"; {loose} image(s) lie in it directly, put each into a folder of its class" if loose else ""
        raise UserError(f"{folder} must hold two or more class folders, found {len(classes)}: {list(classes)}{more}")
    paths, labels = [], []
    for k, name in enumerate(classes):
        found = files_below(folder / name)
        files = sorted(Path(place, file) for place, file in found if suffix(file) in EXTENSIONS)
        if not files:
            others = others_told(file for _, file in found)
            raise UserError(f"class folder {folder / name} holds no images{others}; {READ}")
        paths += files
        labels += [k] * len(files)
    return PathSplit(paths, torch.tensor(labels)), tuple(classes)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones and those a system made."""
    return sorted(d for d in folder.iterdir() if d.is_dir() and not left_behind(d.name))


def files_below(folder: Path) -> list[tuple[str, str]]:
    """Return (folder, name) of all files at any depth, without what is hidden ("._a.jpg") or a system's.

    Links to folders are followed, but not to what is walked anyway. No file's status is asked for: on a network drive
    that is what takes long.
    Raises: UserError naming a folder that cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"folder {error.filename} cannot be listed ({error.strerror})") from error

    found, walked = [], [os.path.realpath(folder)]
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not left_behind(name) and _leads_on(place, name, walked)]
        found += [(place, name) for name in names if not name.startswith(".") and name.lower() not in SYSTEM_FILES]
    return found


def _leads_on(place: str, name: str, walked: list[str]) -> bool:
    """Return whether a folder is to be walked: not a link to one that is, or that lies above or below one."""
    path = os.path.join(place, name)
    if not os.path.islink(path):
        return True
    real = os.path.realpath(path)
    if any(os.path.commonpath([real, other]) in (real, other) for other in walked):
        return False
    walked.append(real)
    return True


def left_behind(name: str) -> bool:
    """Return whether a folder is hidden, or one that a system makes by itself."""
    return name.startswith(".") or name.lower() in SYSTEM


def others_told(names: Iterable[str]) -> str:
    """Return " (2 .mov, 1 without suffix)" for the files that are no images to us, "" if all are."""
    suffixes = Counter(map(suffix, names))
    others = {name: count for name, count in suffixes.most_common() if name not in EXTENSIONS}
    told = ", ".join(f"{count} {name or 'without suffix'}" for name, count in others.items())
    needed = sorted({PLUGINS[name] for name in others if name in PLUGINS})
    return (f" ({told})" if told else "") + (f"; for some of them: pip install {' '.join(needed)}" if needed else "")


def suffix(name: str) -> str:
    """Return a file name's suffix in lower case, ".jpg"; "" if it has none."""
    return os.path.splitext(name)[1].lower()
