"""Shared by the tests of kills: a plan, and a run on two devices, whose processes are killed one by one."""

from contextlib import suppress
from pathlib import Path

import psutil

from adautomix.runs import checkpoint
from adautomix.runs.run import find_runs
from adautomix.utils.files import read_json
from helpers.marked import MarkedCommand


class MarkedPlan(MarkedCommand):
    """The plan `tiny` of a folder."""

    VICTIMS = ("command", "terminal", "worker", "kernel", "fork server")

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder, "run", "tiny", "--workers", workers)

    def others(self, victim: str) -> list[int]:
        words = {"worker": "multiprocessing.spawn", "fork server": "multiprocessing.forkserver"}
        found = []
        for pid in self.marked():
            with suppress(psutil.NoSuchProcess, IndexError):
                process = psutil.Process(pid)
                line, above = " ".join(process.cmdline()), " ".join(process.parent().cmdline())
                served = words["fork server"] in above
                if served if victim == "kernel" else words[victim] in line and not served:
                    found.append(pid)
        return found

    def left_over(self) -> list[str]:
        half = ("*.tmp", "*.running.ipynb", "*.failed.ipynb", "FAILED", ".holder.json", ".runs/*")
        found = [str(path) for pattern in half for path in (self.folder / "outputs").rglob(pattern)]
        return sorted(found + super().left_over())

    def done(self) -> list[str]:
        """Return the tasks whose notebooks ran to their end, read whole."""
        return sorted(p.parent.name for p in (self.folder / "outputs").rglob("DONE") if "key" in read_json(p))


class MarkedDevices(MarkedCommand):
    """A small training on two devices, which are processes on the CPU."""

    VICTIMS = ("command", "terminal", "agent", "rank")

    def __init__(self, folder: Path, *arguments: object) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder, "train", "--devices", 2, "--device", "cpu", "--runs", folder / "runs", *arguments)

    def epochs_kept(self) -> int:
        """Return the epoch of the run's checkpoint, 0 without one."""
        kept = [
            checkpoint.load(run.checkpoint)["epoch"]
            for run in find_runs(self.folder, unfinished=True)
            if run.checkpoint.exists()
        ]
        return max(kept, default=0)

    def others(self, victim: str) -> list[int]:
        word = {"agent": "adautomix.training.agent", "rank": "adautomix.training.worker"}[victim]
        found = []
        for pid in self.marked():
            with suppress(psutil.NoSuchProcess):
                if word in psutil.Process(pid).cmdline():
                    found.append(pid)
        return found

    def left_over(self) -> list[str]:
        return sorted([*map(str, self.folder.rglob("*.tmp")), *super().left_over()])
