"""Shared by the tests of several devices: forks of the test as the ranks of a run, with all that a test has patched."""

import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adautomix.training.agent import environment
from adautomix.training.ranks import connected

SECONDS = 300
"""More than any of them needs: a rank that says nothing hangs."""


def on_ranks(count: int, act: Callable[[], Any]) -> list[Any]:
    """Return what `act` gave on every rank, or the exception it raised, or None of a rank that was killed."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("ranks are forks here, and this system has none")
    fork = multiprocessing.get_context("fork")  # torch is imported already: a new process takes seconds for it
    with tempfile.TemporaryDirectory() as folder:
        pipes, processes = [], []
        for rank in range(count):
            ours, theirs = fork.Pipe(duplex=False)
            processes.append(fork.Process(target=be_rank, args=(rank, count, Path(folder), act, theirs)))
            processes[-1].start()
            theirs.close()
            pipes.append(ours)
        try:
            return [answer(pipe, rank) for rank, pipe in enumerate(pipes)]
        finally:
            for process in processes:
                process.kill()
                process.join()


def be_rank(rank: int, count: int, folder: Path, act: Callable[[], Any], pipe: Any) -> None:
    """Act as one rank in a fork, and send what came of it."""
    numbers = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    os.environ |= environment(folder) | {name: str(number) for name, number in numbers.items()}
    torch.set_num_threads(1)
    try:
        result = act()
    except Exception as error:
        error.__traceback__ = error.__cause__ = error.__context__ = None
        result = error
    pipe.send_bytes(pickle.dumps(result))
    os._exit(0)


def answer(pipe: Any, rank: int) -> Any:
    """Return what a rank sent; None if it was killed."""
    if not pipe.poll(SECONDS):
        raise TimeoutError(f"rank {rank} hangs")
    try:
        return pickle.loads(pipe.recv_bytes())
    except EOFError:
        return None


def as_ranks(count: int, act: Callable[..., Any]) -> list[Any]:
    """Return what `act(ranks)` gave on every rank, connected to the others."""

    def connected_act() -> Any:
        with connected("cpu") as ranks:
            return act(ranks)

    return on_ranks(count, connected_act)
