"""The same file twice: in training and test, in two classes, or again in its class. Found by content, not by name.

Nothing is read for it but what the fingerprint reads, up to 12 kB of a file; only files that are equal so far, and
longer, are read to their end, so a set without copies costs nothing. What a reader gets wrong: a photograph saved
again, or made smaller, is another file: none found does not mean that none are there.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from adautomix.data.fingerprints import BLOCK

NAMED = 3
"""Pairs that are named; the others are counted."""
Group = list[int]
"""Rows of equal files, rising."""


def equal_files(
    parts: Sequence[tuple[str, int, str]],
    labels: Sequence[int],
    n_train: int,
    paths: Sequence[Path] | None = None,
    held: str = "test",
) -> tuple[str, ...]:
    """Return a sentence each about equal files between the splits, between classes and inside a class; () for none.

    Args:
        parts: name, size and digest of every file, first those of the training split.
        labels: class ids, in the same order.
        n_train: how many belong to training.
        paths: the files, where the digest is of some of their bytes only.
        held: what the images that are not for training are called.
    """
    groups = defaultdict(list)
    for row, (_, size, digest) in enumerate(parts):
        groups[size, digest].append(row)
    equal = [group for group in groups.values() if len(group) > 1]
    if paths is not None:
        equal = [whole for group in equal for whole in _equal_to_the_end(group, parts[group[0]][1], paths)]

    crossing, doubtful, again = [], [], []
    for group in equal:
        first = group[0]
        if first < n_train:
            crossing += [(row, first) for row in group if row >= n_train]
        if other := [row for row in group if labels[row] != labels[first]]:
            doubtful.append((first, other[0]))
        seen: dict[tuple[bool, int], int] = {}
        for row in group:
            before = seen.setdefault((row < n_train, labels[row]), row)
            again += [(row, before)] if before != row else []
    told = [
        (crossing, f"of {len(parts) - n_train} {held} image(s) are training images too"),
        (doubtful, "image(s) lie in two classes"),
        (again, "image(s) are copies of another of their class on the same side of the split"),
    ]
    names = [part[0] for part in parts]
    return tuple(f"{len(pairs)} {what}, byte for byte: {_named(pairs, names)}" for pairs, what in told if pairs)


def _named(pairs: Sequence[tuple[int, int]], names: Sequence[str]) -> str:
    told = "; ".join(f"{names[a]} = {names[b]}" for a, b in pairs[:NAMED])
    return told + (f"; and {len(pairs) - NAMED} more" if len(pairs) > NAMED else "")


def _equal_to_the_end(group: Group, size: int, paths: Sequence[Path]) -> list[Group]:
    """Return the group's parts that are equal in all their bytes."""
    if size <= 3 * BLOCK:  # read whole already
        return [group]
    found = defaultdict(list)
    for row in group:
        with paths[row].open("rb") as file:
            found[hashlib.file_digest(file, "sha256").digest()].append(row)
    return [rows for rows in found.values() if len(rows) > 1]
