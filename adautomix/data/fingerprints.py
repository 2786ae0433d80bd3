"""What tells one set of images from another: names, sizes and, where nothing else does, some bytes of every file."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adautomix.utils.errors import UserError, first_five

BLOCK = 4096
"""Bytes read at a file's beginning, middle and end: the ends alone may be white borders."""


def fingerprint(parts: Sequence[object]) -> str:
    """Return 12 hex digits that identify a list of printable things (file names and sizes)."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]


def fingerprint_files(root: Path, paths: Sequence[Path], *, content: bool = False) -> str:
    """Return the fingerprint of the files' names below `root` and sizes; arguments and errors as for `file_parts`."""
    return fingerprint(file_parts([path.relative_to(root).as_posix() for path in paths], paths, content=content))


def file_parts(names: Sequence[str], paths: Sequence[Path], *, content: bool = False) -> list[tuple]:
    """Return (name, size) of every file.

    Args:
        names: of the files, as they should count.
        content: and, in third place, a digest of up to 12 kB of each: uncompressed images are of one size, whatever
            they show.
    Raises: UserError naming files that are missing or empty, or cannot be opened.
    """
    sizes = [_bytes(path) for path in paths]
    for wrong, what in ((None, "missing"), (0, "empty")):
        if found := [str(path) for path, size in zip(paths, sizes, strict=True) if size == wrong]:
            raise UserError(f"{len(found)} image file(s) are {what}; delete or replace them: {first_five(found)}")
    if not content:
        return list(zip(names, sizes, strict=True))
    with ThreadPoolExecutor() as pool:  # they wait for the disk or the network, not for each other
        return list(zip(names, sizes, pool.map(_some_bytes, paths, sizes), strict=True))


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere
        return None


def _some_bytes(path: Path, size: int) -> str:
    """Return the digest of a file's first, middle and last block."""
    digest, last = hashlib.sha256(), max(0, size - BLOCK)
    try:
        with path.open("rb", buffering=0) as file:
            for start in sorted({0, last // 2, last}):
                file.seek(start)
                digest.update(file.read(BLOCK))
    except OSError as error:
        raise UserError(f"image file {path} cannot be read ({error.strerror}); delete or replace it") from error
    return digest.hexdigest()
