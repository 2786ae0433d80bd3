"""Images and the names of their classes, as splits with class ids: do training and test have the same classes?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from adautomix.data.base import PathSplit, split_off
from adautomix.data.images import Source
from adautomix.utils.errors import UserError, first_five

TRAIN = ("train", "training")
TEST = ("test", "testing")
VALIDATION = ("val", "valid", "validation")
"""Names of the parts of a set. Of several for one purpose the first is taken; validation images are the test images
where there are no others."""
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
    """The splits, their classes in the order of the ids, and what a user should know about them."""

    train: PathSplit
    test: PathSplit
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    validation: PathSplit | None = None

    @property
    def images(self) -> list[Source]:
        """All images, those of training first."""
        return [image for split in self._all for image in split.paths]

    @property
    def labels(self) -> list[int]:
        """All class ids, in the same order."""
        return [k for split in self._all for k in split.labels.tolist()]

    @property
    def counts(self) -> str:
        """How many images each part has: two divisions of the same images are two sets."""
        return "+".join(str(len(split)) for split in self._all)

    @property
    def held(self) -> str:
        """What the images that are not for training are called."""
        return "test" if self.validation is None else "val or test"

    @property
    def _all(self) -> list[PathSplit]:
        return [split for split in (self.train, self.test, self.validation) if split is not None]


def splits_of(
    train: Named,
    test: Named | None,
    validation: Named | None = None,
    classes: Sequence[str] | None = None,
    *,
    allow_missing: bool = False,
) -> Splits:
    """Return the splits of images with named classes; without a test part, a fixed share of every class is its test.

    Args:
        classes: all of them, in order; default: those of the training images, sorted.
        allow_missing: the other parts may lack a class, and what they have of one without training images is left out.
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
    tests, told = _matched(train, test, "test", ids, allow_missing)
    held, more = (None, ()) if validation is None else _matched(train, validation, "validation", ids, allow_missing)
    return Splits(_split(train, ids), tests, tuple(classes), (*told, *more), held)


def _matched(
    train: Named, part: Named, what: str, ids: dict[str, int], allow_missing: bool
) -> tuple[PathSplit, tuple[str, ...]]:
    """Return another part's images, and what to tell of classes that it alone has, or lacks."""
    there = set(part.names)
    missing, extra = [name for name in ids if name not in there], sorted(there - set(ids))
    if (missing or extra) and not allow_missing:
        raise UserError(
            f"{train.where} and {part.where} must have the same classes; these are in one only: "
            f"{first_five(sorted([*missing, *extra]))}; to go on without them: --allow-missing-classes"
        )
    known = _split(part, ids)
    if not len(known):
        raise UserError(f"{part.where} holds no image of a class that is trained on ({first_five(list(ids))})")
    return known, _told(part, what, missing, extra)


def held_out(full: PathSplit, classes: Sequence[str]) -> tuple[PathSplit, PathSplit]:
    """Return training and test images of a set without a test part."""
    return split_off(full, classes, lambda n: math.ceil(n * TEST_SHARE), "held-out")


def part_named(words: Sequence[str]) -> str | None:
    """Return "train" or another part's usual name if one of these words, such as folders' names, is one."""
    for word in map(str.lower, words):
        if word in TRAIN:
            return TRAIN[0]
        if word in (*TEST, *VALIDATION):
            return word
    return None


def roles(parts: Iterable[str | None]) -> tuple[str | None, str | None]:
    """Return which of the parts that were found holds the test images, and which the validation images."""
    there = {part.lower() for part in parts if part}
    tests, held = ([name for name in names if name in there] for names in (TEST, VALIDATION))
    test, *held = [*tests[:1], *held] or [None]
    return test, next(iter(held), None)


def left_out(parts: Iterable[str | None], where: object) -> list[str]:
    """Return a remark on parts beyond those that are taken, of the parts that were found; none: no remark."""
    there = {part.lower() for part in parts if part}
    test, validation = roles(there)
    others = [name for name in (*TEST, *VALIDATION) if name in there - {test, validation}]
    taken = f"{test} is what is tested on" + (f", {validation} what is validated on" if validation else "")
    return [f"{', '.join(others)} of {where} is left out: {taken}"] if others else []


def parts_of(found: dict[str | None, Any], where: object) -> tuple[Any, Any | None, Any | None]:
    """Return training, test and validation part of what was found under `part_named`'s words; None: no such part.

    Raises: UserError if there is no training part beside others.
    """
    test, validation = (None if name is None else found[name] for name in roles(found))
    if TRAIN[0] in found:
        return found[TRAIN[0]], test, validation
    if test is not None:
        raise UserError(f"{where} holds only {', '.join(sorted(filter(None, found)))} and no part called train")
    return found[None], None, None


def _split(part: Named, ids: dict[str, int]) -> PathSplit:
    kept = [(image, ids[name]) for image, name in zip(part.images, part.names, strict=True) if name in ids]
    return PathSplit([image for image, _ in kept], torch.tensor([k for _, k in kept], dtype=torch.long))


def _told(part: Named, what: str, missing: Sequence[str], extra: Sequence[str]) -> tuple[str, ...]:
    told = []
    if missing:
        told.append(f"{part.where} holds no image of {len(missing)} class(es): {first_five(list(missing))}")
    if extra:
        count = sum(name in extra for name in part.names)
        why = f"of {len(extra)} class(es) that nothing is trained on: {first_five(list(extra))}"
        told.append(f"{count} {what} image(s) are left out, {why}")
    return tuple(told)
