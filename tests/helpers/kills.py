"""Shared by the tests of kills: trainers that are forks of a process with all imports, killed at a random event.

A trainer counts what it does (a step, an evaluation, a file) on a board in shared memory. Whoever kills it waits for a
random count and then a random moment more: so kills spread over the run however slow the machine is.
"""

import ctypes
import mmap
import multiprocessing
import os
import signal
import struct
import time
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from adautomix.evaluate import corruption_source
from adautomix.evaluate import runs as evaluation
from adautomix.runs import checkpoint
from adautomix.runs.run import Run, find_runs
from adautomix.training import loop, steps
from helpers.results import result_of, torn_file

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PHASES = ("start", "between", "steps", "evaluation", "checkpoint", "records", "end", "evaluators", "corrupted images")
LIMIT = 600
"""Seconds after which something hangs, on a machine that is ten times slower than it should be."""
PLACES = [
    *((steps, name, "start") for name in ("build_classifier", "make_method", "train_loader")),
    *((loop, name, "start") for name in ("create", "begin")),
    *((steps.Training, name, "steps") for name in ("run_epoch", "step")),
    (steps.Training, "evaluate", "evaluation"),
    (checkpoint, "save", "checkpoint"),
    *((Run, name, "records") for name in ("write_history", "write_metrics", "add_session")),
    (Run, "finish", "end"),
    (evaluation, "load_classifier", "evaluators"),
    *((corruption_source, name, "corrupted images") for name in ("corrupt", "sha256_of", "write_json")),
]
"""What counts as an event, and the phase of the run it belongs to."""


class Board:
    """What a trainer is at: phase, epochs told as done, epochs begun, events; the others read it."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, struct.calcsize("4I"))

    def read(self) -> list[int]:
        return list(struct.unpack("4I", self.memory[:]))

    def write(self, phase: str, told: int = 0, begun: int = 0, events: int = 0) -> None:
        """Set the phase; the numbers are added."""
        _, *before = self.read()
        now = [old + new for old, new in zip(before, (told, begun, events), strict=True)]
        self.memory[:] = struct.pack("4I", PHASES.index(phase), *now)

    def clear(self) -> None:
        self.memory[:] = bytes(len(self.memory))

    def watch(self) -> None:
        """Write down, from here on, what this process does."""
        for owner, name, phase in PLACES:
            setattr(owner, name, self.noting(getattr(owner, name), name, phase))

    def noting(self, function, name, phase):
        after = {"step": "steps", "evaluate": "steps"}.get(name, "start" if phase == "start" else "between")

        def noted(*args, **kwargs):
            self.write(phase, begun=name == "run_epoch", events=1)
            result = function(*args, **kwargs)
            self.write(after)
            return result

        return noted


def be_trainer(board, config, runs, evaluators, said):
    """Train and evaluate, as the command would, in a process of its own."""
    for number in SIGNALS[1:]:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1), os.dup2(output, 2)
    board.watch()

    def log(line):
        if line.startswith("epoch "):
            board.write("between", told=1)

    run = loop.train(config, runs, log=log)
    evaluation.evaluate_run(run, evaluators, log=str)


class Trainers:
    """Trains one config again and again in forks, some of which are killed, and counts what that did.

    Args:
        folder: of this config alone; evaluators run when the training is over.
    """

    def __init__(self, config, folder: Path, evaluators=("calibration",)) -> None:
        self.config, self.folder, self.evaluators = config, folder, evaluators
        self.board, self.said = Board(), folder / "said"
        folder.mkdir(parents=True)
        self.found = dict.fromkeys(("lost_epochs", "torn_files", "orphans", "left_over", "differ", "failed"), 0)
        self.phases, self.why = {}, []
        self.expected, self.names, self.events, self.seconds = None, None, 1, 1.0
        self.kept = 0
        self.finish(folder / "untroubled")

    def start(self, runs: Path):
        self.board.clear()
        arguments = (self.board, self.config, runs, self.evaluators, self.said)
        process = multiprocessing.get_context("fork").Process(target=be_trainer, args=arguments)
        process.start()
        return process

    def finish(self, runs: Path) -> None:
        """Train to the end; the first time this is the result that others are compared with."""
        began, process, self.kept = time.monotonic(), self.start(runs), 0
        process.join(LIMIT)
        self.count("failed", process.exitcode != 0, f"ended with {process.exitcode}: {self.last_words()}")
        names = sorted(str(path.relative_to(runs)) for path in runs.rglob("*") if path.suffix != ".lock")
        results = [result_of(run) for run in find_runs(runs)]
        if self.expected is None:
            self.expected, self.names = results, names
            self.events, self.seconds = self.board.read()[3], time.monotonic() - began
            return
        self.count("differ", results != self.expected, f"{results} for {self.expected}")
        strays = set(names) ^ set(self.names)
        self.count("left_over", len(strays), f"{sorted(strays)} on one side only")

    def kill(self, runs: Path, rng) -> bool:
        """Train, kill at a random moment, and look at what is left; False if it had ended before."""
        left = 1 - 0.9 * self.kept / self.config.epochs  # of the run, after what the last kill left
        at, more, number = int(left * rng.randrange(self.events + 1)), rng.random(), rng.choice(SIGNALS)
        at_loader = rng.random() < 0.3
        process = self.start(runs)
        deadline = time.monotonic() + LIMIT
        while process.is_alive() and self.board.read()[3] < at and time.monotonic() < deadline:
            time.sleep(0.0005)
        wait([process.sentinel], timeout=2 * more * self.seconds / self.events)
        loaders = psutil.Process(process.pid).children() if process.is_alive() and at_loader else []
        victim = rng.choice(loaders).pid if loaders else process.pid
        if not process.is_alive():
            return False
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        phase, _, _, _ = self.board.read()
        with suppress(ProcessLookupError):  # a loader process that has just ended
            os.kill(victim, number)
        process.join(LIMIT)
        self.count("failed", process.exitcode is None, f"still there after {number.name}")
        name = f"{PHASES[phase]}{' (a loader process)' * bool(loaders)}"
        self.phases[name] = self.phases.get(name, 0) + 1
        self.look(runs, family)
        return True

    def look(self, runs: Path, family: list[int]) -> None:
        """Count what a kill left behind."""
        _, told, begun, _ = self.board.read()
        torn = [name for path in runs.rglob("*.*") if (name := torn_file(path))]
        self.count("torn_files", len(torn), str(torn))
        for run in find_runs(runs, unfinished=True):
            kept = checkpoint.load(run.checkpoint)["epoch"] if run.checkpoint.exists() and not torn else 0
            self.kept = kept
            before = run.info.get("sessions", [{"from_epoch": 0}])[-1]["from_epoch"] if begun else kept
            self.count("lost_epochs", max(0, before + told - kept) + max(0, before + begun - kept - 1), f"{kept} kept")
        deadline = time.monotonic() + LIMIT / 4
        while (others := adopted()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.count("orphans", len(others), str(others))
        shared = [path.name for path in Path("/dev/shm").iterdir() if any(f"_{pid}_" in path.name for pid in family)]
        self.count("left_over", len(shared), str(shared))

    def count(self, what: str, number: int, why: str) -> None:
        self.found[what] += int(number)
        if number:
            self.why.append(f"{what}, {self.config.method}: {why}")

    def last_words(self) -> str:
        return self.said.read_text()[-2000:] if self.said.exists() else ""


def adopt_orphans() -> None:
    """Make this process the parent of all descendants that lose theirs: whoever outlives a kill is seen."""
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER


def adopted() -> list[str]:
    """Return the descendants that are still there, after burying those that ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(f"{child.pid} {' '.join(child.cmdline())[:80]}")
    return found
