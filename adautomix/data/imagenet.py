"""ImageNet-1K (Russakovsky et al. 2015), or any subset of its classes; the validation images are the test split.

It cannot be downloaded without an account. Its fingerprint is of file names only: asking 1.3 million files for their
sizes takes many minutes on a network drive, so an image replaced under its own name goes unnoticed.
"""

from pathlib import Path

import torch

from adautomix.data.archives import default_root, photographs, side_or_default
from adautomix.data.base import Dataset, PathSplit
from adautomix.data.class_folders import scan, scan_both
from adautomix.data.fingerprints import fingerprint
from adautomix.data.images import EXTENSIONS
from adautomix.utils.errors import UserError, first_five

LAYOUT = (
    "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar come from https://image-net.org (free account). Unpack "
    "them into train/<wnid>/*.JPEG (the first holds one tar file a class) and val/<wnid>/*.JPEG"
)


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return ImageNet: 1,281,167 / 50,000 images in 1,000 classes (WordNet ids), by default at 224 px.

    Args:
        root: holds train/<wnid>/ and val/<wnid>/, the same classes in both; without train/ there is nothing to train
            on, but all to evaluate with.
        size: 32 px or more.
    Raises: UserError saying what to put where.
    """
    size, root = side_or_default("imagenet", size), default_root("imagenet", root)
    train_folder, val_folder = _folders(root)
    if train_folder.is_dir():
        train, test, wnids = scan_both(train_folder, val_folder)
    else:
        test, wnids = scan(val_folder)
        train = PathSplit([], torch.empty(0, dtype=torch.long))
    names = [
        (part, wnids[k], path.name)  # relative_to() would take half of the loading time
        for part, split in (("train", train), ("val", test))
        for path, k in zip(split.paths, split.labels.tolist(), strict=True)
    ]
    known = fingerprint(names)
    more = {"crop_scale": (0.08, 1.0), "fingerprint": known, "known_classes": 1000}
    return photographs("imagenet", wnids, train, test, size=size, folder=root, **more)


def _folders(root: Path) -> tuple[Path, Path]:
    folders = root / "train", root / "val"
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if str(folders[1]) in missing:
        raise UserError(f"imagenet: there is no folder {' and no '.join(missing)}. {LAYOUT}")
    if packed := sorted(path.name for path in folders[0].glob("*.tar") if not path.with_suffix("").is_dir()):
        raise UserError(f"{folders[0]} holds packed classes: {first_five(packed)}. Unpack each into its own folder")
    if bare := sorted(path.name for path in folders[1].iterdir() if path.suffix.lower() in EXTENSIONS):
        raise UserError(
            f"{folders[1]} holds {len(bare)} images outside class folders: {first_five(bare)}. Sort them into class "
            "folders val/<wnid>/: the usual script is valprep.sh of soumith/imagenetloader.torch"
        )
    return folders
