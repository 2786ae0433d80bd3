"""FGVC-Aircraft, release 2013b (Maji et al. 2013): 100 variants; trained on train and val together, as is usual.

Every photograph carries a 20 px banner with its copyright below. It stays, as in the released code.
"""

from pathlib import Path

from adautomix.data.archives import Archive, listed, lookup, photographs, read_rows, side_or_default
from adautomix.data.base import Dataset, PathSplit

ARCHIVE = Archive(
    name="aircraft",
    folder="fgvc-aircraft-2013b",
    parts=("data/images", "data/variants.txt", "data/images_variant_trainval.txt", "data/images_variant_test.txt"),
    url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
    md5="d4acdd33327262359767eeaa97a4f732",
)


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the aircraft: 6,667 / 3,333 images in 100 classes (variants), by default at 224 px.

    Args:
        root: holds fgvc-aircraft-2013b/ or is it; downloaded into it if missing.
        size: 32 px or more.
    Raises: UserError naming what is missing.
    """
    size = side_or_default("aircraft", size)
    folder = ARCHIVE.locate(root) / "data"
    variants = [row[0] for row in read_rows(folder / "variants.txt", 1)]
    train, test = (_split(folder, part, variants) for part in ("trainval", "test"))
    return photographs("aircraft", variants, train, test, size=size, folder=folder)


def _split(folder: Path, part: str, variants: list[str]) -> PathSplit:
    source, ids = folder / f"images_variant_{part}.txt", {name: k for k, name in enumerate(variants)}
    rows = read_rows(source, 2)  # "0034309 A300B4"
    labels = [lookup(ids, variant, folder / "variants.txt") for _, variant in rows]
    return listed(source, [folder / "images" / f"{image}.jpg" for image, _ in rows], labels, variants)
