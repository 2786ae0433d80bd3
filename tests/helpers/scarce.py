"""Shared by the tests of scarce means: a forked child with a small disk of its own, filled and relieved."""

import ctypes
import json
import os
import shutil
import traceback
from contextlib import suppress

CLONE_NEWNS = 0x20000


def in_child(action, *args):
    """Return what `action(*args)` returns in a forked child, or raise with its traceback."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = {"value": action(*args)}
        except BaseException:
            answer = {"raised": traceback.format_exc()}
        with suppress(BaseException), os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text or '{"raised": "the child died"}')
    if "raised" in answer:
        raise AssertionError(answer["raised"])
    return answer["value"]


def libc(name, *args):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def mount(folder, options, flags=0):
    """Put a file system in memory over a folder, for this process alone."""
    libc("unshare", CLONE_NEWNS)
    libc("mount", b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE: nobody else sees it
    libc("mount", b"none", str(folder).encode(), b"tmpfs", flags, options.encode())


def mounts_work(folder):
    mount(folder, "size=1m")
    return True


def fill(folder, leave=0):
    """Fill a small disk but for `leave` bytes; a kept file takes the room."""
    room = shutil.disk_usage(folder).free - leave
    with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while room > 0:
            room -= file.write(bytes(min(room, 2**16)))


def use_up_inodes(folder):
    with suppress(OSError):
        for number in range(10_000):
            (folder / f"ballast{number}").touch()


def relieve(folder):
    for path in folder.glob("ballast*"):
        path.unlink()
