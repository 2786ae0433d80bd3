"""A run on several devices of this machine, started from any process: a terminal, a script, a notebook's kernel.

The caller waits, passes on what the first rank says, and raises one error if a rank failed. It starts one process, the
agent, whose children are the ranks (`agent.py`, `worker.py`); neither knows the caller's signals, and all of them end
when the caller does.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import torch

import adautomix
from adautomix.config import TrainConfig
from adautomix.training.agent import EXITS, LINES, PARENT, TASK
from adautomix.utils.errors import RankError, UserError
from adautomix.utils.files import read_json, write_json

END_SECONDS = 20
"""How long the agent may take to end its ranks, which it gives 10 s before it kills them."""


def launch(
    config: TrainConfig, runs: str | Path, *, devices: int, max_restarts: int, log: Callable[[str], None]
) -> None:
    """Train on several devices of this machine.

    Args:
        max_restarts: how often to go on from the last checkpoint after a rank was killed, crashed or failed.
        log: gets the lines of the first rank.
    Raises: what a rank raised, with its number; RankError for one that was killed or crashed.
    """
    for restart in range(max_restarts + 1):
        error = attempt(config, runs, devices, log)
        if error is None:
            return
        if not isinstance(error, RankError) or restart == max_restarts:
            raise error
        log(f"{error}; all start again, {restart + 1} of {max_restarts} times")


def attempt(config: TrainConfig, runs: str | Path, devices: int, log: Callable[[str], None]) -> Exception | None:
    """Train until all ranks are done or one failed, and return what went wrong."""
    with tempfile.TemporaryDirectory(prefix="adautomix-") as name:
        folder = Path(name)
        write_json(folder / TASK, {"config": asdict(config), "runs": str(Path(runs).resolve())})
        (folder / LINES).touch()
        with (folder / "noise").open("w") as noise, (folder / LINES).open() as lines:
            agent = start_agent(folder, devices, noise)
            try:
                while agent.poll() is None:
                    pass_on(lines, log)
                    time.sleep(0.1)
                pass_on(lines, log)
            finally:
                end(agent)
        return None if agent.returncode == 0 else failure(folder, agent.returncode)


def start_agent(folder: Path, devices: int, noise: TextIO) -> subprocess.Popen:
    """Start the agent in a session of its own: Ctrl-C in a terminal reaches the caller alone, who ends the rest."""
    package = str(Path(adautomix.__file__).parents[1])
    threads = max(1, torch.get_num_threads() // devices)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": str(threads),
        PARENT: str(os.getpid()),
    }
    command = [sys.executable, "-m", "adautomix.training.agent", str(folder), str(devices)]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": noise, "stderr": noise}
    return subprocess.Popen(command, env=environment, start_new_session=True, **streams)


def pass_on(lines: TextIO, log: Callable[[str], None]) -> None:
    """Give all whole lines that have come since to `log`."""
    while True:
        place = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(place)
            return
        log(line.removesuffix("\n"))


def end(agent: subprocess.Popen) -> None:
    """End the agent if it still runs, and with it all ranks; they notice by themselves if it must be killed."""
    if agent.poll() is None:
        agent.terminate()
        try:
            agent.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()


def failure(folder: Path, code: int) -> Exception:
    """Return the error that tells why ranks failed: of the one that failed by itself, not of those it took along."""
    reports = {int(path.name.split(".")[1]): read_json(path) for path in sorted(folder.glob("failed.*.json"))}
    own = {rank: report for rank, report in reports.items() if "LostRank" not in report["kinds"]}
    if own:
        rank = min(own)
        return reported(rank, own[rank])
    exits = read_json(folder / EXITS) if (folder / EXITS).exists() else {}
    silent = {int(rank): code for rank, code in exits.items() if int(rank) not in reports}
    # The agent ends the others by SIGTERM, so whoever went otherwise was first.
    first = {rank: code for rank, code in silent.items() if code != -signal.SIGTERM} or silent
    if not first:
        rank, report = next(iter(reports.items()), (0, {"message": f"torch's launcher ended with code {code}"}))
        return RankError(f"{report['message']}{last_words(folder)}")
    rank, code = min(first.items())
    if code < 0:
        why = " (the system does that when memory is full)" if code == -signal.SIGKILL else ""
        return RankError(
            f"rank {rank} of the run was killed by {signal.Signals(-code).name}{why}; the same command goes on from "
            "the last checkpoint"
        )
    return RankError(f"rank {rank} of the run ended with code {code}{last_words(folder)}")


def reported(rank: int, report: dict[str, Any]) -> Exception:
    """Return the error that a rank left word of."""
    kinds, message = report["kinds"], report["message"]
    if "FloatingPointError" in kinds:  # all ranks agreed on it, and it says whose it is
        return FloatingPointError(message)
    for kind in (UserError, OSError):
        if kind.__name__ in kinds:
            return kind(f"rank {rank}: {message}")
    if "OutOfMemoryError" in kinds:
        return RankError(f"rank {rank}: the GPU's memory is full, give a smaller --batch-size: {message}")
    if "RankError" in kinds:
        return RankError(message)
    return RankError(f"rank {rank} of the run failed:\n{report['trace']}")


def last_words(folder: Path) -> str:
    """Return the last lines that libraries wrote, indented under what is said."""
    if not (folder / "noise").exists():  # an agent that was ended by somebody else removes its folder
        return ""
    lines = (folder / "noise").read_text(errors="replace").splitlines()[-15:]
    return "".join(f"\n    {line}" for line in lines)
