"""Shared by the tests of accidents: is a Run whole, and is it bit for bit another one, times aside?"""

import hashlib
import json
from pathlib import Path

import numpy
import torch

from adautomix.runs import checkpoint
from adautomix.runs.records import read_history
from adautomix.runs.run import Run

TIMES = ("seconds", "images_per_s")


def torn_file(path: Path) -> str | None:
    """Return the name of a file that cannot be read whole; temporary ones do not count before the run goes on."""
    if path.name.startswith("."):
        return None
    try:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.name == "history.csv" and read_history(path).isna().all(axis=1).any():
            raise ValueError("an empty row")
        elif path.name == "checkpoint.pt":
            checkpoint.load(path)
        elif path.suffix == ".npy":
            numpy.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        return f"{path}: {error}"
    return None


def result_of(run: Run) -> list[str]:
    """Return checksums of a run's history and results without times, and of all that its checkpoint holds."""
    state = checkpoint.load(run.checkpoint)
    state["history"] = [{k: v for k, v in row.items() if k not in TIMES} for row in state["history"]]
    history = run.history.drop(columns=list(TIMES)).to_csv(index=False)
    metrics = {path.name: json.loads(path.read_text())["value"] for path in sorted(run.path.glob("metrics/*.json"))}
    parts = (history, json.dumps(metrics, sort_keys=True), "\n".join(flat(state)))
    return [run.id, *(hashlib.sha256(part.encode()).hexdigest()[:12] for part in parts)]


def flat(value, name=""):
    """Yield a line for every number, and for every tensor with a checksum of its bytes."""
    if isinstance(value, dict):
        for key in value:
            yield from flat(value[key], f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from flat(item, f"{name}.{number}")
    elif isinstance(value, torch.Tensor):
        content = value.detach().contiguous().view(-1).view(torch.uint8) if value.ndim else value.reshape(1)
        yield f"{name} {value.dtype} {tuple(value.shape)} {hashlib.sha256(content.numpy().tobytes()).hexdigest()}"
    else:
        yield f"{name} {value!r}"
