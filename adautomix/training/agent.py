"""`python -m adautomix.training.agent FOLDER RANKS`: starts the ranks of a run through torch's elastic launcher.

A process of its own, since the launcher takes the signals of the process it runs in, which may be a notebook's kernel.
Ranks meet by files of the folder: the ports that torch's launcher opens otherwise listen on every interface.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STORE = "ADAUTOMIX_STORE"
"""Environment variable: the file by which ranks on one machine find each other, with no port that others can reach."""
PARENT = "ADAUTOMIX_PARENT"
"""Environment variable: the process id of who started this one, which may be gone before this one can ask."""
TASK, LINES, EXITS = "task.json", "lines", "exits.json"
"""Files of the folder: what is to be trained, what the first rank says, and every failed rank's exit code."""


def main(folder: Path, ranks: int) -> int:
    """Start the ranks, wait for them, and end all of them as soon as one failed; return an exit code."""
    # Until torch's launcher has handlers of its own, which takes seconds: whoever started us may end meanwhile.
    signal.signal(signal.SIGTERM, lambda *_: (shutil.rmtree(folder, ignore_errors=True), os._exit(1)))
    follow_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from adautomix.utils.files import write_json

    os.environ |= environment(folder) | {PARENT: str(os.getpid())}
    tempfile.tempdir = str(folder)  # the launcher makes a folder for logs, and forgets it when it is ended
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        run_id="adautomix",
        rdzv_backend="c10d",
        rdzv_endpoint=str(folder / "rendezvous"),
        rdzv_configs={"store_type": "file"},
        max_restarts=0,  # `launch.py` starts all again, and says why
        monitor_interval=0.1,
        local_addr="127.0.0.1",
    )
    try:
        elastic_launch(config, sys.executable)("-m", "adautomix.training.worker", str(folder))
    except ChildFailedError as error:
        write_json(folder / EXITS, {rank: failure.exitcode for rank, failure in error.failures.items()})
        return 1
    except SignalException:  # who started us ends us, or is gone
        shutil.rmtree(folder, ignore_errors=True)
        return 1
    return 0


def environment(folder: Path) -> dict[str, str]:
    """Return the ranks' environment: where they meet, and that they listen on this machine's own interface only."""
    own = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    interfaces = {f"{library}_SOCKET_IFNAME": own[0] for library in ("GLOO", "NCCL") if own}
    return interfaces | {
        STORE: str(folder / "store"),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "10",
    }


def follow_parent(act: Callable[[], Any]) -> None:
    """Act as soon as the parent process is gone, killed maybe: nothing is left behind."""
    parent = int(os.environ.get(PARENT, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        act()

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
