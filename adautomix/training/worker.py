"""`python -m adautomix.training.worker FOLDER`: one rank of a run that `launch.py` started."""

import os
import signal
import sys
import traceback
from pathlib import Path

from adautomix.training.agent import LINES, TASK, follow_parent


def main(folder: Path) -> None:
    """Train, and leave word of a failure; ends without waiting for ranks or cards that no longer answer."""
    follow_parent(lambda: os._exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    rank = int(os.environ["RANK"])
    # Warnings go with the lines; what libraries write below Python goes where `launch.py` finds it if a rank crashed.
    sys.stdout = sys.stderr = (folder / LINES if rank == 0 else Path(os.devnull)).open("a", buffering=1)
    try:
        train_task(folder)
    except BaseException as error:
        note(folder, rank, error)
        os._exit(1)


def train_task(folder: Path) -> None:
    """Train what the folder asks for."""
    from adautomix.config import TrainConfig, from_dict
    from adautomix.training.loop import train
    from adautomix.utils.files import read_json

    task = read_json(folder / TASK)
    train(from_dict(TrainConfig, task["config"]), task["runs"])


def note(folder: Path, rank: int, error: BaseException) -> None:
    """Write what happened for `launch.py`, which tells it once for all ranks."""
    from adautomix.utils.files import write_json

    kinds = [kind.__name__ for kind in type(error).__mro__]
    report = {"kinds": kinds, "message": str(error), "trace": "".join(traceback.format_exception(error))}
    write_json(folder / f"failed.{rank}.json", report)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
