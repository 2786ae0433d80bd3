"""One process at a time trains a Run. The lock dies with its holder, who says beside it who that is."""

import os
import shutil
import socket
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from adautomix.runs.environment import now
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json
from adautomix.utils.locks import hold

LOCK_SECONDS = 60
QUIET_SECONDS = 1
"""So long a wait is not told."""


@contextmanager
def held(folder: Path, seconds: float = LOCK_SECONDS, log: Callable[[str], None] | None = None):
    """Hold a run's folder for one process. An error before there is a config leaves no folder.

    Args:
        seconds: how long another process that holds it is waited for.
        log: told if there is one.
    Raises: UserError, with the process's number, if another one still holds it after `seconds`, or if there are no
        locks in the folder.
    """
    from filelock import Timeout

    holder = folder / ".holder.json"
    try:
        try:
            taken, new = _take(folder, min(seconds, QUIET_SECONDS))
        except Timeout:
            if seconds <= QUIET_SECONDS:
                raise
            if log is not None:
                log(f"{_other(folder, holder)}; waiting up to {seconds:g} s for it")
            taken, new = _take(folder, seconds - QUIET_SECONDS)
    except Timeout as error:
        raise UserError(f"{_other(folder, holder)}; wait for it or stop it") from error
    try:
        with suppress(OSError):  # it is for others to read, and a run that is done needs no room
            write_json(holder, {"host": socket.gethostname(), "pid": os.getpid(), "since": now()})
        yield
    except BaseException:
        if new and not (folder / "config.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        taken.lock.release()


def _other(folder: Path, holder: Path) -> str:
    who = ""
    with suppress(OSError, UserError, KeyError):
        who = " (process {pid} on {host}, since {since})".format(**read_json(holder))
    return f"another process is training {folder}{who}"


def _take(folder: Path, seconds: float) -> tuple[Any, bool]:
    """Return the lock in the folder, taken, and whether the folder was made for it."""
    while True:
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return hold(folder / ".lock", seconds), new
        except FileNotFoundError:  # who had it failed, and took the folder away
            continue
        except UserError:
            if new:
                shutil.rmtree(folder, ignore_errors=True)
            raise
