"""Caltech-UCSD Birds-200-2011 (Wah et al. 2011): the split of its own lists."""

from pathlib import Path

from adautomix.data.archives import Archive, listed, lookup, photographs, read_rows, side_or_default
from adautomix.data.base import Dataset, PathSplit
from adautomix.utils.errors import UserError

ARCHIVE = Archive(
    name="cub200",
    folder="CUB_200_2011",
    parts=("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"),
    url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    md5="97eceeb196236b17998738112f37df78",
)


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the birds: 5,994 / 5,794 images in 200 classes, by default at 224 px.

    Args:
        root: holds CUB_200_2011/ or is it; downloaded into it if missing.
        size: 32 px or more.
    Raises: UserError naming what is missing.
    """
    size = side_or_default("cub200", size)
    folder = ARCHIVE.locate(root)
    classes = dict(read_rows(folder / "classes.txt", 2))  # "1": "001.Black_footed_Albatross"
    names = [name.partition(".")[2].replace("_", " ") or name for name in classes.values()]
    train, test = (_split(folder, part, classes, names) for part in ("1", "0"))
    return photographs("cub200", names, train, test, size=size, folder=folder)


def _split(folder: Path, part: str, classes: dict[str, str], names: list[str]) -> PathSplit:
    """Return the images marked `part` ("1": train, "0": test)."""
    images, ids = folder / "images.txt", {key: k for k, key in enumerate(classes)}
    label_of = dict(read_rows(folder / "image_class_labels.txt", 2))
    part_of = dict(read_rows(folder / "train_test_split.txt", 2))
    paths, labels = [], []
    for key, path in read_rows(images, 2):
        for table, file in ((label_of, "image_class_labels.txt"), (part_of, "train_test_split.txt")):
            if key not in table:
                raise UserError(f"{folder / file} has no line for image {key}, {path}")
        if part_of[key] == part:
            paths.append(folder / "images" / path)
            labels.append(lookup(ids, label_of[key], folder / "classes.txt"))
    return listed(images, paths, labels, names)
