"""Images and the names of their classes, as splits with class ids: do training and test have the same classes?"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from adautomix.data.base import PathSplit, split_off
from adautomix.data.images import Source
from adautomix.utils.errors import UserError, first_five

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""Names of the parts of a split; of several test parts the first in this order is taken."""
TEST_SHARE = 0.2
"""Share of every class held out where there is no test part."""


@dataclass(frozen=True)
class Named:
    """Images of one part of a set, and each one's class by name; `where` says in a message where they come from."""

    where: str
    images: Sequence[Source]
    names: Sequence[str]


@dataclass(frozen=True)
class Splits:
    """Both splits, their classes in the order of the ids, and what a user should know about them."""

    train: PathSplit
    test: PathSplit
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def splits_of(
    train: Named, test: Named | None, classes: Sequence[str] | None = None, *, allow_missing: bool = False
) -> Splits:
    """Return the splits of images with named classes; without a test part, a fixed share of every class is its test.

    Args:
        classes: all of them, in order; default: those of the training images, sorted.
        allow_missing: test images may lack a class, and those of a class without training images are left out.
    Raises: UserError for fewer than two classes, a class without training images, or classes that differ.
    """
    classes = sorted(set(train.names)) if classes is None else classes
    if len(classes) < 2:
        raise UserError(f"{train.where} must hold images of two or more classes, found {len(classes)}: {list(classes)}")
    if empty := sorted(set(classes) - set(train.names)):
        raise UserError(f"{train.where} holds no image of {len(empty)} class(es): {first_five(empty)}")
    ids = {name: k for k, name in enumerate(classes)}
    if test is None:
        parts = held_out(_split(train, ids), classes)
        return Splits(*parts, tuple(classes))
    there = set(test.names)
    missing, extra = [name for name in classes if name not in there], sorted(there - set(classes))
    if (missing or extra) and not allow_missing:
        raise UserError(
            f"{train.where} and {test.where} must have the same classes; these are in one only: "
            f"{first_five(sorted([*missing, *extra]))}; to go on without them: --allow-missing-classes"
        )
    known = _split(test, ids)
    if not len(known):
        raise UserError(f"{test.where} holds no image of a class that is trained on ({first_five(list(classes))})")
    return Splits(_split(train, ids), known, tuple(classes), _told(test, missing, extra))


def held_out(full: PathSplit, classes: Sequence[str]) -> tuple[PathSplit, PathSplit]:
    """Return training and test images of a set without a test part."""
    return split_off(full, classes, lambda n: math.ceil(n * TEST_SHARE), "held-out")


def part_named(words: Sequence[str]) -> str | None:
    """Return "train" or the test part's usual name if one of these words, such as folders' names, is one."""
    for word in map(str.lower, words):
        if word in TRAIN:
            return TRAIN[0]
        if word in TEST:
            return word
    return None


def left_out(parts: Iterable[str | None], where: object) -> list[str]:
    """Return a remark on test parts beyond the one that is taken, of the parts that were found; none: no remark."""
    there = {part.lower() for part in parts if part}
    first, *others = [name for name in TEST if name in there] or [""]
    return [f"{', '.join(others)} of {where} is left out: {first} is what is tested on"] if others else []


def parts_of(found: dict[str | None, Any], where: object) -> tuple[Any, Any | None]:
    """Return the training and the test part of what was found under `part_named`'s words; None: no test part.

    Raises: UserError if there are test parts alone.
    """
    test = next((found[name] for name in TEST if name in found), None)
    if TRAIN[0] in found:
        return found[TRAIN[0]], test
    if test is not None:
        raise UserError(f"{where} holds only {', '.join(sorted(filter(None, found)))} and no part called train")
    return found[None], None


def _split(part: Named, ids: dict[str, int]) -> PathSplit:
    kept = [(image, ids[name]) for image, name in zip(part.images, part.names, strict=True) if name in ids]
    return PathSplit([image for image, _ in kept], torch.tensor([k for _, k in kept], dtype=torch.long))


def _told(test: Named, missing: Sequence[str], extra: Sequence[str]) -> tuple[str, ...]:
    told = []
    if missing:
        told.append(f"{test.where} holds no image of {len(missing)} class(es): {first_five(list(missing))}")
    if extra:
        count = Counter(test.names)
        told.append(
            f"{sum(count[name] for name in extra)} test image(s) are left out, of {len(extra)} class(es) that nothing "
            f"is trained on: {first_five(list(extra))}"
        )
    return tuple(told)
