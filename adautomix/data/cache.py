"""Decoded image files of one split, kept in memory that all worker processes share.

Decoding is most of the cost of a streamed image, so every file is decoded once and its pixels are kept as they are:
a batch is the same with and without the cache. Either all images of the split fit into half of the memory available,
or there is no cache. Without Linux' figures, or where workers are no forks, there is none either.
"""

import mmap
import multiprocessing
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from adautomix.data.images import Source, openable
from adautomix.utils.progress import progress

GROUPS = {
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", ""),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}
"""Control groups of version 2 and 1: where they lie, and their files' names."""
CHECK_EVERY = 32
"""Images between two looks at the memory, which cost 0.3 ms each."""
SAMPLE = 64
"""Headers read to estimate the whole: reading those of a million files takes minutes."""


class ImageCache:
    """Room for decoded images in anonymous shared memory; processes forked later read and write the same bytes.

    Args:
        rooms: bytes of every image as 8-bit RGB; 0 for those that are never kept.
        reserve: no more images are kept while less memory than this is available (bytes).
    """

    def __init__(self, rooms: Int[np.ndarray, " _"], reserve: int = 0) -> None:
        self.reserve, self.puts, self.enough = reserve, 0, True
        self.ends = np.cumsum(rooms, dtype=np.int64)
        self.pixels = _shared(int(self.ends[-1]), np.uint8)
        self.sizes = _shared(len(rooms) * 2, np.int32).reshape(-1, 2)  # (width, height): a turned image has its own
        self.filled = _shared(len(rooms), np.bool_)

    def get(self, index: int) -> Image.Image | None:
        """Return a kept image as a new RGB image, or None."""
        if not self.filled[index]:
            return None
        return Image.frombuffer("RGB", tuple(self.sizes[index].tolist()), self._room(index), "raw", "RGB", 0, 1)

    def put(self, index: int, image: Image.Image) -> None:
        """Keep an RGB image, if its file still has the size it had and nobody else has taken the memory.

        Two processes that write the same image write the same bytes; who sees the flag sees them all.
        """
        if self.puts % CHECK_EVERY == 0:
            self.enough = (available_memory() or 0) >= self.reserve
        self.puts += 1
        room = self._room(index)
        if self.enough and len(room) == image.width * image.height * 3:
            room[:] = np.asarray(image).reshape(-1)
            self.sizes[index] = image.size
            self.filled[index] = True

    def _room(self, index: int) -> np.ndarray:
        return self.pixels[self.ends[index - 1] if index else 0 : self.ends[index]]


def cache_for(paths: Sequence[Source], rows: Sequence[int], *, workers: int, owners: int = 1) -> ImageCache | None:
    """Return an empty cache for the files at `rows`, or None if they do not all fit or workers could not share it.

    Args:
        owners: processes that each keep such a cache, one a device: each may take its part of the memory only.
    """
    available = available_memory()
    available = None if available is None else available // owners
    if available is None or (workers and start_method() != "fork") or not len(rows):
        return None
    some = [_bytes_decoded(paths[i]) for i in rows[:: max(1, len(rows) // SAMPLE)]]
    if sum(some) / len(some) * len(rows) > available / 2:
        return None
    rooms = np.zeros(len(paths), dtype=np.int64)
    with ThreadPoolExecutor() as pool:
        sizes = pool.map(_bytes_decoded, [paths[i] for i in rows])
        rooms[rows] = list(progress(sizes, total=len(rows), name="image sizes", unit="image"))
    if not 0 < rooms.sum() <= available / 2:
        return None
    return ImageCache(rooms, reserve=available // 4)


def available_memory() -> int | None:
    """Return the bytes that can still be taken on this machine and in its control group; None if not known."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else min([int(found[1]) * 1024, *_left_in_groups()])


def _left_in_groups() -> Iterator[int]:
    """Yield what the limits of containers and SLURM jobs leave."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        if controllers in GROUPS:
            yield from _left(*GROUPS[controllers], inside.strip("/"))


def _left(root: str, limit: str, used: str, prefix: str, inside: str) -> Iterator[int]:
    """Yield limit - used + what is only cached files, for a group and those it lies in."""
    group = Path(root, inside)
    for folder in (group, *group.parents):
        try:
            most, now = (folder / limit).read_text().strip(), int((folder / used).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        if most != "max":
            files = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
            yield int(most) - now + files


def start_method() -> str:
    """Return how reading processes start: as somebody chose, or else on Linux by fork, elsewhere as Python does it.

    Python's own choice on Linux is forkserver from 3.14 on. Such processes would not share the cache, and decode every
    image anew in each epoch; readers use neither the GPU nor their parent's threads.
    """
    usual = multiprocessing.get_all_start_methods()[0]
    method = multiprocessing.get_start_method(allow_none=True)  # without this argument it would be fixed by asking
    return "fork" if sys.platform == "linux" and method in (None, usual) else method or usual


def _bytes_decoded(path: Source) -> int:
    """Return an image's bytes as 8-bit RGB, from its header; 0 if it cannot be read: the reader says so."""
    try:
        with Image.open(openable(path)) as file:
            return file.width * file.height * 3
    except Exception:  # decoders raise whatever broken bytes lead them to
        return 0


def _shared(count: int, dtype: type) -> np.ndarray:
    return np.frombuffer(mmap.mmap(-1, count * np.dtype(dtype).itemsize), dtype)
