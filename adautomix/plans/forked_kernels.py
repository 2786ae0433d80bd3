"""Kernels that find torch imported already: each is a fork of a server that imported it once.

Importing torch, torchvision and timm costs 3 to 5 s of CPU a notebook; a fork costs some milliseconds. Every worker has
one fork server (Python's own, from multiprocessing). Where there is none (Windows, a daemonic worker), kernels start
as usual.
"""

import multiprocessing
import os
import sys
import threading
import uuid
from multiprocessing.process import BaseProcess
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

KERNEL = ["ipykernel.ipkernel", "ipykernel.kernelapp", "IPython.display"]
PRELOAD = ["torch", "torchvision", "timm", "pandas", "scipy.stats"]
"""No module may be here that starts threads or a GPU context, or that looks at what a kernel sets up first, as
matplotlib does."""
VARIABLE = "ADAUTOMIX_PRELOAD"
"""Environment variable: other modules than those, with commas between; empty for notebooks that need none of them."""
LAUNCHER = ["-m", "ipykernel_launcher"]


class Forked:
    """A forked process, with what jupyter_client uses of a subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self.process = process

    def __getattr__(self, name: str) -> Any:
        """Return what both kinds of process have: pid, terminate and kill."""
        return getattr(self.process, name)

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        return self.process.exitcode

    def wait(self) -> int | None:
        """Wait for the end and return the exit code."""
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self.process.pid, number)


class ForkProvisioner(LocalProvisioner):
    """Starts kernels as forks."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Start the kernel that `cmd` would start, and return its connection."""
        if cmd[1:3] != LAUNCHER or not can_fork():
            return await super().launch_kernel(cmd, **options)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(KERNEL + preloaded())
        process = context.Process(target=run_kernel, args=(cmd[3:], options["env"], options.get("cwd")))
        process.start()
        self.process = Forked(process)
        self.pid = self.pgid = process.pid  # it leads a group of its own
        self.cwd = options.get("cwd")
        return self.connection_info


class ForkKernelManager(AsyncKernelManager):
    """jupyter_client's manager of one kernel, with the provisioner above."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kernel_id = str(uuid.uuid4())
        self.provisioner = ForkProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)


def preloaded() -> list[str]:
    """Return the modules that notebooks find imported."""
    given = os.environ.get(VARIABLE)
    return PRELOAD if given is None else [name.strip() for name in given.split(",") if name.strip()]


def can_fork() -> bool:
    """Return whether this process may have a fork server: not on Windows, and not as a daemon."""
    return sys.platform != "win32" and not multiprocessing.current_process().daemon


def run_kernel(arguments: list[str], env: dict[str, str], cwd: str | None) -> None:
    """Be a kernel, in a process that was just forked."""
    os.setsid()  # so that an interrupt reaches the kernel and what it started, and nothing else
    threading.Thread(target=_end_with_worker, daemon=True).start()
    os.environ.clear()
    os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    sys.argv = ["ipykernel_launcher", *arguments]
    sys.path[0] = ""  # as `python -m` has it
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


def _end_with_worker() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
