"""Writing files so that a reader, or a run that was killed, never finds half of one."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from adautomix.utils.errors import UserError, first_line


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """Call `write(temporary path)` and rename the result to `path`; the folder is made if missing.

    What processes of this machine that were killed left half-written in the folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary = path.with_name(f".{path.name}.{machine()}-{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes of this machine left in a folder."""
    if not Path("/proc/self").exists():
        return
    for left in folder.glob(f".*.{machine()}-*.tmp"):
        number = left.name.split("-")[-1].removesuffix(".tmp")
        try:
            os.kill(int(number), 0)
        except (ProcessLookupError, ValueError):
            left.unlink(missing_ok=True)
        except PermissionError:  # it lives, and is somebody else's
            continue


@cache
def machine() -> str:
    """Return what tells apart who does not see one another's processes: hosts, their starts, containers."""
    marks = [socket.gethostname()]
    with suppress(OSError):
        marks += [Path("/proc/sys/kernel/random/boot_id").read_text()[:8], str(os.stat("/proc/self/ns/pid").st_ino)]
    return "_".join(marks)


PUT_BACK = "delete it, or put back the one that was there"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_atomic(path, lambda temporary: temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file; raises UserError if it holds none."""
    value = read_value(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (it holds no mapping but {type(value).__name__}); {PUT_BACK}")
    return value


def read_value(path: Path) -> Any:
    """Return what a JSON file holds; raises UserError for a file that is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without an end
        raise UserError(f"{path} is damaged ({first_line(error)}); {PUT_BACK}") from error
