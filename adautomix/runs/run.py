"""The Run: one folder, the only hand-over between training, evaluation, notebooks and tables.

    <runs>/<data set>/<method>-<backbone>-s<seed>-<hash>/
      config.json      the whole config, versions, and every session that trained it
      history.csv      one row an epoch
      checkpoint.pt    what training needs to go on bit for bit
      metrics/<evaluator>.<student|teacher>.json
      DONE             training finished; written last

Reading a Run needs no torch. Everything is written to a temporary name and renamed.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from adautomix.config import TrainConfig, from_dict
from adautomix.runs.environment import environment, now
from adautomix.runs.identity import NUMERICS_VERSION, run_hash
from adautomix.runs.lock import LOCK_SECONDS, held
from adautomix.runs.records import MENDED, checked, checked_metrics, is_record, read_history
from adautomix.utils.errors import UserError, unknown
from adautomix.utils.files import read_json, write_atomic, write_json
from adautomix.utils.locks import hold

ROLES = ("student", "teacher")
"""The two networks of every run: what was trained, and its moving average."""


class Run:
    """One training run's folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({self.id}, {'done' if self.done else 'unfinished'})"

    @property
    def id(self) -> str:
        """The folder's name: method, backbone, seed and hash."""
        return self.path.name

    @property
    def done(self) -> bool:
        """Whether training finished."""
        return (self.path / "DONE").exists()

    @property
    def imported(self) -> bool:
        """Whether its networks come from another program's file: then it has no history."""
        return "imported" in self.info

    @property
    def weights(self) -> Path:
        """Where the weights of a published network are (`publishing.py`)."""
        return self.path / "teacher.safetensors"

    @property
    def roles(self) -> tuple[str, ...]:
        """The networks it has: student and teacher, of a published one the teacher."""
        return ("teacher",) if self.weights.exists() else ROLES

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint is."""
        return self.path / "checkpoint.pt"

    @cached_property
    def info(self) -> dict[str, Any]:
        """Content of config.json; raises UserError if there is none, or it is not a Run's."""
        if not (self.path / "config.json").exists():
            raise UserError(f"{self.path} is not a Run: it has no config.json")
        return checked(read_json(self.path / "config.json"), self.path / "config.json")

    @cached_property
    def config(self) -> TrainConfig:
        """The training config; it never changes."""
        return from_dict(TrainConfig, self.info["config"])

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch; empty before the first. Raises UserError for a file that holds something else."""
        path = self.path / "history.csv"
        return read_history(path) if path.exists() else pd.DataFrame()

    @property
    def last_epoch(self) -> pd.Series:
        """The history's last row; raises UserError if there is none."""
        history = self.history
        if history.empty:
            raise UserError(f"{self.path} has no history.csv, or an empty one; {MENDED}")
        return history.iloc[-1]

    def metrics(self, evaluator: str, role: str) -> dict[str, Any] | None:
        """Return one evaluator's result, or None if it was not run; raises UserError for a damaged file."""
        path = self.path / "metrics" / f"{evaluator}.{role}.json"
        return checked_metrics(read_json(path), path) if path.exists() else None

    def write_metrics(self, evaluator: str, role: str, result: dict[str, Any]) -> None:
        """Store one evaluator's result (value, settings, n_images, protocol) with the time."""
        write_json(self.path / "metrics" / f"{evaluator}.{role}.json", result | {"written": now()})

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Write history.csv whole."""
        write_atomic(self.path / "history.csv", lambda path: pd.DataFrame(rows).to_csv(path, index=False))

    def finish(self) -> None:
        """Mark training as finished."""
        write_json(self.path / "DONE", {"finished": now()})

    def add_session(self, session: dict[str, Any]) -> None:
        """Record who trained this run from which epoch on: device, threads, versions, commit."""
        sessions = [*self.info.get("sessions", []), {"started": now()} | session | environment()]
        write_json(self.path / "config.json", self.info | {"sessions": sessions})
        self.forget()

    def set_dataset(self, dataset: dict[str, Any]) -> None:
        """Record the images of a run that was imported without any."""
        write_json(self.path / "config.json", self.info | {"dataset": dataset})
        self.forget()

    def forget(self) -> None:
        """Forget what was read of config.json: this or another process has written it anew."""
        self.__dict__.pop("info", None)

    def lock(self, seconds: float = LOCK_SECONDS, log: Callable[[str], None] | None = None):
        """Hold the run for one process, as a context; arguments and errors as for `runs.lock.held`."""
        return held(self.path, seconds, log)

    @contextmanager
    def measuring(self, evaluator: str, role: str):
        """Hold one result for one process; another that wants the same waits for it."""
        (self.path / "metrics").mkdir(exist_ok=True)
        with hold(self.path / "metrics" / f".{evaluator}.{role}.lock"):
            yield


def as_run(run: Run | str | Path) -> Run:
    """Return a Run, given it or its folder."""
    return run if isinstance(run, Run) else Run(run)


def run_for(runs: str | Path, config: TrainConfig, dataset: dict[str, Any]) -> Run:
    """Return the Run of a config, which may not exist yet: the same config gives the same folder.

    Args:
        runs: folder of all runs, e.g. outputs/quick/runs.
        config: with every option resolved.
        dataset: what is needed to rebuild the Classifier: label, classes, size, mean, std, fingerprint.
    """
    backbone = config.backbone + (f"_w{config.width}" if config.width else "")
    backbone = re.sub(r"[^\w.+-]", "_", backbone)  # a name with slashes is no path
    digest = run_hash(config, dataset["fingerprint"])
    return Run(Path(runs) / dataset["label"] / f"{config.method}-{backbone}-s{config.seed}-{digest}")


def create(run: Run, config: TrainConfig, dataset: dict[str, Any]) -> None:
    """Write the config of a run that is new; one that is not is left as it is. Hold its lock."""
    if not (run.path / "config.json").exists():
        info = {"config": asdict(config), "dataset": dataset, "numerics_version": NUMERICS_VERSION}
        write_json(run.path / "config.json", info)


def find_runs(root: str | Path, /, *, unfinished: bool = False, **where: Any) -> list[Run]:
    """Return the runs below a folder, sorted by path.

    Args:
        root: any folder above runs, e.g. outputs/quick.
        unfinished: also return runs whose training has not finished.
        where: config fields and the value wanted, or a list of values; None asks for nothing. Of options and optim
            what is named counts: options={"alpha": 0.5}. A run that is older than a field has its default.
    Raises: UserError for an unknown field.
    """
    fields = TrainConfig.__dataclass_fields__
    for key in where:
        if key not in fields:
            raise unknown("config field", key, fields)
    found = (Run(path.parent) for path in sorted(Path(root).rglob("config.json")) if is_record(path))
    runs = [run for run in found if run.done or unfinished]
    return [run for run in runs if _matches(run.info["config"], where)]


def _matches(config: dict[str, Any], where: dict[str, Any]) -> bool:
    asked = {key: _written(wanted) for key, wanted in where.items() if wanted is not None}
    values = {key: config[key] if key in config else _written(getattr(TrainConfig(), key)) for key in asked}
    return all(any(_fits(values[k], one) for one in (v if isinstance(v, list) else [v])) for k, v in asked.items())


def _fits(value: Any, wanted: Any) -> bool:
    """Return whether a value is as wanted; of settings by name only those count that are named."""
    if isinstance(value, dict) and isinstance(wanted, dict):
        return all(name in value and _fits(value[name], one) for name, one in wanted.items())
    return value == wanted


def _written(value: Any) -> Any:
    """Return a config's value as config.json has it."""
    if is_dataclass(value):
        return _written(asdict(value))
    if isinstance(value, Mapping):
        return {name: _written(one) for name, one in value.items()}
    return [_written(one) for one in value] if isinstance(value, (list, tuple)) else value
