"""How many cores this process may use: of a shared machine, or in a job of a cluster, not all that there are."""

import os
from collections.abc import Mapping

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables that say with how many threads a process computes; whoever sets the first one alone means all."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limits(processes: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables, but for those that are in the environment, with which so many processes share the cores.

    Without a word on each, dask gives its workers one thread, and PyTorch takes the smallest of what it finds.
    """
    shared = str(max(1, cores() // processes))
    threads = environment.get(THREADS[0], shared).partition(",")[0]  # "4,2": of nested loops
    return {name: threads for name in THREADS if name not in environment}
