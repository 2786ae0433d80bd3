"""Starting a notebook's kernel with sockets of its own.

jupyter_client's TCP ports clash when kernels start together, and any user of the machine can connect to them. So every
kernel gets private IPC sockets: files in a folder of its own. Its name has the number of the worker that made it:
what one leaves that was killed, the next one removes.
"""

import hashlib
import multiprocessing
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from adautomix.utils.files import machine


def start_and_run(papermill: Any, *args: Any, **options: Any) -> None:
    """Execute a notebook; on Windows, whose kernels have TCP only and may clash, one that did not start is retried."""
    tries = 3 if sys.platform == "win32" else 1
    for attempt in range(tries):
        try:
            with _private_sockets() as config:
                papermill.execute_notebook(*args, config=config, **options)
            return
        except RuntimeError as error:
            if "Kernel died before" not in str(error) or attempt == tries - 1:
                raise


@contextmanager
def _private_sockets():
    """Yield a kernel config with sockets of its own; with TCP on Windows, which has nothing else."""
    from traitlets.config import Config

    from adautomix.plans.forked_kernels import ForkKernelManager

    config = Config()
    config.NotebookClient.kernel_manager_class = ForkKernelManager
    config.NotebookClient.extra_arguments = ["--log-level=CRITICAL"]  # every kernel's farewell is logged as an error
    if sys.platform == "win32":
        yield config
        return
    sweep()
    _house_fork_server()
    config.KernelManager.transport = "ipc"
    with TemporaryDirectory(**_named(), ignore_cleanup_errors=True) as folder:
        config.KernelManager.ip = f"{folder}/k"
        config.KernelManager.connection_file = f"{folder}/kernel.json"  # with its key: in Jupyter's own it would stay
        yield config


def _named() -> dict[str, str]:
    """Return where folders are made: a short path on a local disk, socket names have some 100 characters at most."""
    return {"prefix": f"ax-{_machine()}-{os.getpid()}-", "dir": "/tmp"}


def _machine() -> str:
    """Return a short mark of who sees whose processes: containers may share a folder and have numbers of their own."""
    return hashlib.sha256(machine().encode()).hexdigest()[:8]


def _house_fork_server() -> None:
    """Let this worker's fork server have its socket in a folder that is found if the worker is killed.

    Python itself gives it a folder that nobody would ever remove.
    """
    from multiprocessing.util import Finalize

    process = multiprocessing.current_process()
    if process._config.get("tempdir") is None:
        process._config["tempdir"] = folder = mkdtemp(**_named())
        Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)


def sweep() -> None:
    """Remove the socket folders of workers of this machine that were killed."""
    for folder in Path("/tmp").glob(f"ax-{_machine()}-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
