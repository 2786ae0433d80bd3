"""Data sets, their augmentation, and the loaders that batch them. A new set is a file here and a line in DATASETS."""

from pathlib import Path
from typing import TYPE_CHECKING

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
    },
)


def load_dataset(
    name: str,
    *,
    root: str | Path | None = None,
    size: int | None = None,
    per_class: int | None = None,
    validation: float = 0.0,
) -> "Dataset":
    """Return a data set by name; image files are decoded when they are first used.

    Args:
        root: where it lies (default: data/<name> in the workbook; the packaged sets need none).
        size: image side in px (default: the set's own).
        per_class: keep the first n training images of every class; the test set stays whole.
        validation: share of every class's training images (after `per_class`) to hold out.
    Raises: UserError for an unknown name, a missing data set, missing or empty files, or a size the set does not have.
    """
    dataset = DATASETS[name](root=None if root is None else Path(root).expanduser(), size=size)
    if per_class is not None:
        dataset = dataset.first_per_class(per_class)
    if validation:
        dataset = dataset.hold_out(validation)
    return dataset.in_memory()


def dataset_for(config: "TrainConfig") -> "Dataset":
    """Return the data set that a training config names."""
    named = {name: getattr(config, name) for name in ("root", "size", "per_class", "validation")}
    return load_dataset(config.data, **named)


__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "base": "Dataset describe read_split",
        "images": "read_for_test",
        "loader": "eval_loader train_loader",
        "photos": "whole_photos write_photo_folder",
    },
)
