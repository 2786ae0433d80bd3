"""Any tree of class folders of images.

Either `root/train/<class>/...` with `root/test/<class>/...`, or `root/<class>/...`, of which a fixed share of every
class is then held out for test. The parts may have the other names in use (TRAIN, TEST, VALIDATION), in any letter
case.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from adautomix.data.base import IMAGENET_MEAN, IMAGENET_STD, Dataset
from adautomix.data.class_folders import READ, files_below, folders_in, others_told, scan, suffix
from adautomix.data.class_names import TEST, TRAIN, VALIDATION, Named, Splits, held_out, left_out, roles, splits_of
from adautomix.data.equal_files import equal_files
from adautomix.data.fingerprints import file_parts, fingerprint
from adautomix.data.images import EXTENSIONS
from adautomix.utils.errors import UserError, first_five

DEFAULT_SIZE = 32
LIKE_A_PART = re.compile(r"(^|[_\-. ])(train|test|val|valid|dev|eval)(ing|ation)?([_\-. ]|$)", re.IGNORECASE)
"""Names such as training_set and seg_test, which are not among those in use."""
LONGEST_LABEL = 100
"""Letters; file systems end at 255 bytes."""


def load(*, root: Path | None = None, size: int | None = None, allow_missing_classes: bool = False) -> Dataset:
    """Return the image files below `root`, to be read at `size` px (default 32): shorter side, then centre square.

    Its remarks tell of files left out for their suffix, of equal files, and of classes that a part lacks.

    Args:
        allow_missing_classes: the test and validation parts may lack classes; what they have of others is left out.
    Raises: UserError if root is missing, a class or a file is empty, the splits' classes differ, there is a test part
        but no training part, or class folders seem to lie in parts of another name.
    """
    require_folder(
        "folder", root, "the directory that holds the class folders", "train/<class>/ and test/<class>/, or <class>/"
    )
    parts = _parts(root)
    splits = _splits(parts, allow_missing_classes)
    others = _others(root, [part / name for part in parts for name in splits.classes if (part / name).is_dir()])
    paths, labels = splits.images, splits.labels
    files = file_parts([path.relative_to(root).as_posix() for path in paths], paths, content=True)
    more = left_out([part.name for part in folders_in(root)], root) if len(parts) > 1 else []
    more += _strange(root, parts)
    remarks = [*others, *more, *equal_files(files, labels, len(splits.train), paths, splits.held)]
    label = own_label("folder", root)
    return own_images("folder", label, splits, size or DEFAULT_SIZE, fingerprint(files), remarks)


def own_label(name: str, root: Path) -> str:
    """Return what a user's own set is called: a folder of runs, and a word in tables, figures and pages.

    Signs that mean something there (a dollar, a bracket, a line's end) become _.
    """
    plain = re.sub(r"[^\w.,+@ ()=~-]", "_", root.resolve().name)
    return f"{name}-{plain[:LONGEST_LABEL]}"


def require_folder(name: str, root: Path | None, what: str, layout: str) -> None:
    """Raise UserError, saying what is to be there, unless root is given and exists."""
    if root is None:
        raise UserError(f"the data set {name} needs a root: {what}")
    if not root.is_dir():
        raise UserError(
            f"there is no directory {root}{'' if root.is_absolute() else f' in {Path.cwd()}'}; root must hold "
            f"{layout}. If the images have moved, say where they are with --root"
        )


def own_images(name: str, label: str, splits: Splits, size: int, fingerprint: str, remarks: Sequence[str]) -> Dataset:
    """Return a user's own photographs as a set, with ImageNet's normalisation, cropped and mirrored in training.

    Up to 64 px they are cropped at random after padding by an eighth of the side, above by a random resized crop.
    """
    return Dataset(
        name=name,
        label=label,
        classes=splits.classes,
        train=splits.train,
        test=splits.test,
        validation=splits.validation,
        size=size,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        pad=size // 8,
        flip=True,
        fingerprint=fingerprint,
        remarks=(*splits.remarks, *remarks),
    )


def _parts(root: Path) -> list[Path]:
    """Return the folders that hold the class folders: those of train, test and validation, or the one of all."""
    folders = folders_in(root)
    train, test = (
        [d for name in names for d in folders if d.name.lower() == name] for names in (TRAIN, (*TEST, *VALIDATION))
    )
    if len(train) > 1:
        raise UserError(f"{root} holds {len(train)} training parts, {' and '.join(d.name for d in train)}; keep one")
    if test and not train and len(test) == len(folders):
        raise UserError(
            f"{root} holds no class folders, only parts of a split ({', '.join(d.name for d in test)}), and none of "
            "them is called train; rename the training part, or put the class folders themselves there"
        )
    if not train:
        _refuse_other_parts(root, folders)
    taken = [next(d for d in test if d.name.lower() == role) for role in roles(d.name for d in test) if role]
    return [*train, *taken] if train else [root]


def _refuse_other_parts(root: Path, folders: Sequence[Path]) -> None:
    """Raise UserError for folders called like parts of a split that hold the same class folders as their neighbours."""
    inner = {folder: {d.name for d in folders_in(folder)} for folder in folders if LIKE_A_PART.search(folder.name)}
    shared = Counter([*(d.name for d in folders), *(name for names in inner.values() for name in names)])
    if parts := [folder.name for folder, names in inner.items() if any(shared[name] > 1 for name in names)]:
        raise UserError(
            f"{root} holds {first_five(parts)}, with class folders inside: that looks like parts of a split, not like "
            "classes. Call them train and test (and val)"
        )


def _strange(root: Path, parts: list[Path]) -> list[str]:
    """Return a sentence on folders beside the parts whose names say nothing to us, such as eval."""
    known = (*TRAIN, *TEST, *VALIDATION)
    names = [folder.name for folder in folders_in(root) if folder.name.lower() not in known]
    if parts == [root] or not names:
        return []
    return [f"{first_five(names)} of {root} is left out: the parts are called {', '.join(known)}"]


def _splits(parts: list[Path], allow_missing: bool) -> Splits:
    if len(parts) == 1:
        full, classes = scan(parts[0])
        return Splits(*held_out(full, classes), classes)
    train, classes = scan(parts[0])
    known = Named(str(parts[0]), train.paths, [classes[k] for k in train.labels.tolist()])
    named = [*map(_named, parts[1:]), None][:2]
    return splits_of(known, *named, classes, allow_missing=allow_missing)


def _named(part: Path) -> Named:
    """Return the images of a part's class folders, of which some may be empty."""
    found = [(folder.name, place, file) for folder in folders_in(part) for place, file in files_below(folder)]
    images = sorted((name, Path(place, file)) for name, place, file in found if suffix(file) in EXTENSIONS)
    return Named(str(part), [path for _, path in images], [name for name, _ in images])


def _others(root: Path, folders: Sequence[Path]) -> list[str]:
    """Return a sentence on files of the class folders that are no images to us, and one on images outside them."""
    names = [name for folder in folders for _, name in files_below(folder)]
    skipped, told = sum(suffix(name) not in EXTENSIONS for name in names), []
    if skipped:
        told = [f"{skipped} file(s) in the class folders of {root} are left out{others_told(names)}; {READ}"]
    homes = {root, *(folder.parent for folder in folders)}
    if loose := sum(suffix(path.name) in EXTENSIONS and path.is_file() for home in homes for path in home.iterdir()):
        told.append(f"{loose} image(s) of {root} are left out: they lie in no class folder")
    return told
