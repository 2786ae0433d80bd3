"""Shared by the tests of accidents: how often each is tried, the command called in process, and the counts."""

import contextlib
import io
import os
import random
import traceback
from dataclasses import dataclass

from adautomix.cli import main
from adautomix.utils.errors import UserError

FULL = os.environ.get("FAULTS") == "full"
"""`make faults` tries everything in full; `make test` a short version of the same."""
SEED = int(os.environ.get("FAULTS_SEED", "0"))
COUNTS: list[dict] = []
"""One row per kind of accident: what was tried how often, and what came of it."""


def times(short: int, full: int) -> int:
    """Return how often to try."""
    return full if FULL else short


def rng_for(name: str) -> random.Random:
    """Return the random numbers of one test; the same seed gives the same accidents."""
    return random.Random(f"{SEED} {name}")


def counted(accident: str, tried: int, **outcomes: int) -> None:
    """Note a row for the table that `make faults` prints."""
    COUNTS.append({"accident": accident, "tried": tried, **outcomes})


@dataclass(frozen=True)
class Answer:
    """What a command left behind: its code (None: it raised), what it printed, and the traceback it raised."""

    code: int | None
    out: str
    err: str
    raised: str = ""

    @property
    def told(self) -> bool:
        """Whether it ended with code 1 or 2 and one message."""
        return self.code in (1, 2) and bool(self.err.strip()) and "Traceback" not in self.err + self.out


def call(*args: object) -> Answer:
    """Call the command `adautomix` in this process."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(arg) for arg in args])
    except SystemExit as left:
        return Answer(left.code, out.getvalue(), err.getvalue())
    except BaseException:
        return Answer(None, out.getvalue(), err.getvalue(), traceback.format_exc())
    raise AssertionError("main() always exits")


def outcome(action) -> tuple[str, object]:
    """Return ("read", value), ("told", sentence) or ("fault", traceback) of what reads a file."""
    try:
        return "read", action()
    except (UserError, OSError) as error:  # the command line prints either as one message
        return ("told", str(error)) if str(error).strip() else ("fault", "an empty message")
    except Exception:
        return "fault", traceback.format_exc()


def faults_of(tries: dict[str, tuple[str, object]]) -> list[str]:
    """Return a line for each of {name: (state, value)} that is a fault."""
    return [f"{name}: {str(value)[-700:]}" for name, (state, value) in tries.items() if state == "fault"]
