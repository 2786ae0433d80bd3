"""Shared by the tests of kills: a command called again and again, whose processes bear a mark: none gets lost."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from helpers import ROOT
from helpers.kills import LIMIT, SIGNALS

MARK = "ADAUTOMIX_KILLED_COMMAND"


class MarkedCommand:
    """`adautomix ...` called in a folder, again and again; at the end of a block none of its processes is left.

    They have a folder of their own for temporary files and sockets, with a short name.
    """

    VICTIMS: tuple[str, ...] = ("command", "terminal")
    """Whom `kill` chooses from; a terminal hangs up, or passes on Ctrl-C, to all of its processes."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder, self.mark = folder, str(folder)
        self.scratch = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
        self.call = [sys.executable, "-m", "adautomix", *map(str, arguments)]
        self.pids: set[int] = set()
        self.shared: set[str] = set()

    def start(self, said: Path) -> subprocess.Popen:
        own = {MARK: self.mark, "TMPDIR": str(self.scratch), "JUPYTER_RUNTIME_DIR": str(self.scratch / "jupyter")}
        own["PYTHONPATH"] = str(ROOT)
        with said.open("w") as output:
            how = {"cwd": self.folder, "env": os.environ | own, "stdout": output, "stderr": output}
            # A shell's background job ignores Ctrl-C, and its children with it; a command in a terminal does not.
            heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            return subprocess.Popen(self.call, **how, start_new_session=True, preexec_fn=heard)

    def finish(self, said: Path, limit: float = LIMIT) -> int:
        """Run to the end, within `limit` seconds, see that nobody is left, and return the exit code."""
        code = self.start(said).wait(limit)
        assert self.survivors() == [], said.read_text()
        return code

    def kill(self, said: Path, rng: random.Random, seconds: float) -> str:
        """Kill one of its processes, or what a terminal would, at a random moment; return whom, or "" if none was."""
        victim, number, more = rng.choice(self.VICTIMS), rng.choice(SIGNALS), rng.random() * seconds
        command, deadline = self.start(said), time.monotonic() + LIMIT
        while command.poll() is None and not self.of_kind(victim, command.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        with suppress(subprocess.TimeoutExpired):
            command.wait(more)
        there = self.of_kind(victim, command.pid)
        if command.poll() is not None or not there:
            command.wait(LIMIT)
            return ""
        self.note()
        with suppress(ProcessLookupError):
            if victim == "terminal":
                number = rng.choice((signal.SIGINT, signal.SIGHUP))
                os.killpg(command.pid, number)
            else:
                os.kill(rng.choice(there), number)
        command.wait(LIMIT)
        assert self.survivors() == [], f"{victim} {number.name}: {said.read_text()}"
        return f"{victim} {number.name}"

    def of_kind(self, victim: str, command: int) -> list[int]:
        """Return the processes from which a victim of a kind is chosen."""
        return [command] if victim in ("command", "terminal") else self.others(victim)

    def others(self, victim: str) -> list[int]:
        """Return the living processes of a kind other than the command itself."""
        raise NotImplementedError

    def marked(self) -> list[int]:
        """Return the living processes that bear the mark."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self.bears(pid)]

    def bears(self, pid: int) -> bool:
        with suppress(OSError, psutil.NoSuchProcess):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            return f"{MARK}={self.mark}\0".encode() in environment and psutil.Process(pid).status() != "zombie"
        return False

    def note(self) -> None:
        """Remember which processes there are, and what they share."""
        for pid in self.marked():
            self.pids.add(pid)
            with suppress(OSError):
                maps = Path(f"/proc/{pid}/maps").read_text().split()
                self.shared |= {word for word in maps if word.startswith("/dev/shm/")}

    def survivors(self) -> list[str]:
        """Return who is still there after a long while; nobody should be after a moment."""
        deadline = time.monotonic() + LIMIT / 4
        while (left := self.marked()) and time.monotonic() < deadline:
            self.pids.update(left)
            time.sleep(0.1)
        return [f"{pid} {' '.join(psutil.Process(pid).cmdline())}" for pid in left]

    def left_over(self) -> list[str]:
        """Return what is left of sockets, shared memory and temporary folders."""
        found = [path for pid in self.pids for path in Path("/tmp").glob(f"ax-*-{pid}-*")]
        found += [Path(name) for name in self.shared if Path(name).exists()]
        for path in self.scratch.rglob("*"):  # dask keeps its scratch space, empty, and takes away what was killed
            if "dask-scratch-space" not in path.parts or stat.S_ISSOCK(path.lstat().st_mode):
                found.append(path)
        return sorted(map(str, found))

    def __enter__(self) -> "MarkedCommand":
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self.marked():  # after a failed test; else there is nobody
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.scratch, ignore_errors=True)
