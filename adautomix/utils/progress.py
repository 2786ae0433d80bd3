"""Progress bars, for those who watch: on a terminal or in a notebook somebody works in, never in a log or a plan."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm.auto import tqdm

from adautomix.utils.task import in_task

T = TypeVar("T")
DELAY = 2.0
"""Seconds of work before a bar appears: what is done sooner needs none."""


def watched() -> bool:
    """Return whether somebody may be looking: a terminal, or a Jupyter kernel that no plan started."""
    if in_task():
        return False
    kernels = sys.modules.get("ipykernel.kernelapp")  # which plans import too, without being a kernel
    return sys.stderr.isatty() or (kernels is not None and kernels.IPKernelApp.initialized())


def rate_text(images_per_s: float) -> str:
    """Return a speed to be read; a slow one with a decimal."""
    return f"{images_per_s:.{0 if images_per_s >= 10 else 1}f} images/s"


def progress(items: Iterable[T], *, total: int, name: str, unit: str) -> Iterable[T]:
    """Yield the items under a bar that vanishes at the end; without a watcher there is none."""
    return tqdm(items, total=total, desc=name, unit=unit, leave=False, delay=DELAY, disable=not watched())
