"""Data sets, their augmentation, and the loaders that batch them. A new set is a file here and a line in
DATASETS, or an entry point of a package of your own.
"""

import functools
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from adautomix.utils.errors import UserError
from adautomix.utils.lazy import LazyTable, lazy_exports

if TYPE_CHECKING:
    from adautomix.config import TrainConfig
    from adautomix.data.base import Dataset

DATASETS = LazyTable(
    "data set",
    "adautomix.data",
    {
        "digits": "digits:load",
        "photos": "photos:load",
        "cifar10": "cifar:load_cifar10",
        "cifar100": "cifar:load_cifar100",
        "tiny_imagenet": "tiny_imagenet:load",
        "imagenet": "imagenet:load",
        "cub200": "cub200:load",
        "aircraft": "aircraft:load",
        "cars": "cars:load",
        "folder": "folder:load",
        "csv": "csv_list:load",
        "parquet": "parquet:load",
        "medmnist": "medmnist:load",
    },
)
OWN_CLASSES = ("folder", "csv", "parquet")
"""Sets whose classes are the user's, so that a split may lack some."""


def load_dataset(
    name: str,
    *,
    root: str | Path | None = None,
    size: int | None = None,
    per_class: int | None = None,
    validation: float = 0.0,
    allow_missing_classes: bool = False,
) -> "Dataset":
    """Return a data set by name, with a warning for each of its remarks; image files are decoded when first used.

    Args:
        root: where it lies (default: data/<name> in the workbook; the packaged sets need none).
        size: image side in px (default: the set's own).
        per_class: keep the first n training images of every class; the test set stays whole.
        validation: share of every class's training images (after `per_class`) to hold out.
        allow_missing_classes: the test images of folder, csv or parquet may lack classes; what they have of others is
            left out.
    Raises: UserError for an unknown name, a missing data set, missing or empty files, a size the set does not have, or
        numbers out of range.
    """
    dataset = _loaded(name, root, size, per_class, validation, allow_missing_classes)
    for remark in dataset.remarks:
        _warn_once(remark)
    return dataset


def dataset_for(config: "TrainConfig") -> "Dataset":
    """Return the data set that a training config names; its remarks are for the caller to tell."""
    fields = ("data", "root", "size", "per_class", "validation", "allow_missing_classes")
    dataset = _loaded(*(getattr(config, name) for name in fields))
    return dataset if config.flip is None else replace(dataset, flip=config.flip)


def _loaded(
    name: str,
    root: str | Path | None,
    size: int | None,
    per_class: int | None,
    validation: float,
    allow_missing_classes: bool,
) -> "Dataset":
    for what, value in (("size", size), ("per_class", per_class)):
        if value is not None and value < 1:
            raise UserError(f"{what} must be 1 or more, got {value}")
    if not 0 <= validation < 1:
        raise UserError(f"validation must be in [0,1), got {validation}")
    more = {"allow_missing_classes": True} if allow_missing_classes else {}
    if more and name not in OWN_CLASSES:
        raise UserError(f"allow_missing_classes is for {', '.join(OWN_CLASSES)}; the classes of {name} are known")
    dataset = DATASETS[name](root=None if root is None else Path(root).expanduser(), size=size, **more)
    if per_class is not None:
        dataset = dataset.first_per_class(per_class)
    if validation:
        dataset = dataset.hold_out(validation)
    return dataset.in_memory()


@functools.cache  # `cache` is a file of this room
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=3)  # Python forgets what it has said when anything uses catch_warnings


__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "base": "Dataset MemorySplit PathSplit describe read_split",
        "fingerprints": "fingerprint fingerprint_files",
        "images": "read_for_test",
        "loader": "eval_loader train_loader",
        "photos": "whole_photos write_photo_folder",
    },
)
