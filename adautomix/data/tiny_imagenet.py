"""Tiny ImageNet (Le and Yang 2015): 200 of ImageNet's classes at 64 px; the validation images are the test split.

As unpacked, or with val/ sorted into class folders, as many people do.
"""

from collections import Counter
from pathlib import Path

from adautomix.data.archives import Archive, listed, lookup, photographs, read_rows
from adautomix.data.base import Dataset, PathSplit, size_or_default
from adautomix.data.class_folders import scan
from adautomix.data.images import EXTENSIONS

ARCHIVE = Archive(
    name="tiny_imagenet",
    folder="tiny-imagenet-200",
    parts=("wnids.txt", "words.txt", "train", "val"),
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    md5="90528d7ca1a48142e341f4ef8d21d0de",
)


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return Tiny ImageNet: 100,000 / 10,000 images of 64 px in 200 classes, in the order of their WordNet ids.

    Args:
        root: holds tiny-imagenet-200/ or is it; downloaded into it if missing.
    Raises: UserError naming what is missing.
    """
    size = size_or_default("tiny_imagenet", size, (64,))
    folder = ARCHIVE.locate(root)
    wnids = sorted(row[0] for row in read_rows(folder / "wnids.txt", 1))
    train, _ = scan(folder / "train", wnids)
    test = _validation(folder / "val", wnids)
    names = _names(folder / "words.txt", wnids)
    return photographs("tiny_imagenet", names, train, test, size=size, folder=folder, crop_scale=(0.08, 1.0))


def _validation(folder: Path, wnids: list[str]) -> PathSplit:
    sorted_by_hand = any((folder / wnid).is_dir() for wnid in wnids)
    if sorted_by_hand and not _holds_images(folder / "images"):
        return scan(folder, wnids)[0]
    annotations = folder / "val_annotations.txt"
    rows = read_rows(annotations, 3, "\t")
    ids = {wnid: k for k, wnid in enumerate(wnids)}
    labels = [lookup(ids, wnid, folder.parent / "wnids.txt") for _, wnid, _ in rows]
    return listed(annotations, [folder / "images" / file for file, _, _ in rows], labels, wnids)


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in EXTENSIONS for path in folder.iterdir())


def _names(words: Path, wnids: list[str]) -> tuple[str, ...]:
    """Return every class's first word (its first synonym), or its WordNet id where two classes share the word."""
    first = {wnid: synonyms.split(",")[0].strip() for wnid, synonyms in read_rows(words, 2, "\t")}
    count = Counter(first.get(wnid) for wnid in wnids)
    return tuple(first[wnid] if wnid in first and count[first[wnid]] == 1 else wnid for wnid in wnids)
