"""The authors' own training logs: 50 runs, 11,400 epochs, as numbers.

Source: the JSON logs below `experiments/` of github.com/JinXins/Adversarial-AutoMixup, commit 9d6fd12f; `file` in
`logs()` is the path there; Apache License 2.0. Measured values only, none of its text or code. A run with a teacher
logs two heads of both networks, `one` that learned on clean images and `mix`; the others log the one head of the one
network, here the student's `one`.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from adautomix.utils.errors import UserError, unknown


def logs() -> pd.DataFrame:
    """Return one row per logged run.

    Columns log (its name), column (that of Tables 1 and 2, or what it would be called), data, backbone, method, epochs,
    batch_per_gpu, gpus, seconds_per_iter (median), memory_mb, seed, config and file (their names in the repository).
    """
    runs = _read("logs.csv").copy()
    runs.insert(1, "column", runs["data"] + "_" + runs["backbone"])
    return runs


def log(data: str, backbone: str, method: str, epochs: int | None = None) -> pd.DataFrame:
    """Return every epoch of one logged run: epoch, lr, loss and test top-1 (%) by role and head, nan without a teacher.

    `loss` is the mean over the epoch's logged windows of the sum of all terms; columns teacher_one, teacher_mix,
    student_one and student_mix; and, under the names of our own histories, student_top1 and teacher_top1 (head `one`).

    Args:
        epochs: of the run; needed where a method was logged with several.
    Raises: UserError if there is no such log, naming those there are.
    """
    runs = logs()
    for name, value in (("data", data), ("backbone", backbone), ("method", method)):
        if value not in set(runs[name]):
            raise unknown(f"{name} of the authors' logs", value, runs[name].unique())
        runs = runs[runs[name] == value]
        if runs.empty:
            break
    lengths = sorted(runs["epochs"])
    chosen = runs if epochs is None else runs[runs["epochs"] == epochs]
    if len(chosen) != 1:
        told = f" of {epochs} epochs" if epochs is not None else ""
        there = f"there are logs of {', '.join(map(str, lengths))} epochs" if lengths else "see adautomix.paper.logs()"
        raise UserError(
            f"{'no' if chosen.empty else 'more than one'} log of {data}, {backbone}, {method}{told}; {there}"
        )
    return epochs_of(chosen["log"].item())


def epochs_of(name: str) -> pd.DataFrame:
    """Return what `log` does, by the log's name."""
    every = _read("log_epochs.csv.xz")
    part = every[every["log"] == name].drop(columns="log").reset_index(drop=True)
    if part.empty:
        raise unknown("log", name, every["log"].unique())
    return part.assign(student_top1=part["student_one"], teacher_top1=part["teacher_one"])


def first_iterations(name: str) -> pd.DataFrame:
    """Return the logged windows of a run's first two epochs.

    Columns epoch, iter, lr, loss (sum of all terms) and training accuracies in percent: acc_one_q (student's head
    `one`, clean images), acc_mix_q and acc_mix_k (student's and teacher's head `mix`, mixed images). A window's values
    are means over the iterations since the last.
    """
    every = _read("log_first_iterations.csv.xz")
    part = every[every["log"] == name].drop(columns="log").reset_index(drop=True)
    if part.empty:
        raise unknown("log", name, every["log"].unique())
    return part


def log_of_cell(column: str, method: str) -> pd.Series | None:
    """Return the row of `logs` of a cell of Tables 1 and 2, its longest run; None if there is none."""
    runs = logs()
    runs = runs[(runs["column"] == column) & (runs["method"] == method)].sort_values("epochs")
    return None if runs.empty else runs.iloc[-1]


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name(name))
