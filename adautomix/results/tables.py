"""Runs as tables: accuracies over seeds, and learning curves. Reads files only, needs no torch.

What a reader gets wrong: runs are averaged only if nothing but the seed differs. Where one method was run with several
settings, each is a row of its own, and `label` says what tells them apart.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from adautomix.runs.identity import PLACE_FIELDS
from adautomix.runs.run import ROLES, Run
from adautomix.utils.errors import unknown

ALWAYS = ("data", "method", "backbone", "epochs")
"""Columns every table has; further settings appear where groups differ in them."""


def table(runs: Iterable[Run], evaluator: str = "accuracy", value: str = "top1") -> pd.DataFrame:
    """Return mean, standard deviation (ddof=1) and number of seeds of one value, a row a group and role.

    The columns name data set, method, backbone and epochs, every other setting in which the groups differ, and a
    `label` that is unique among the groups of a data set. The same run found twice counts once.
    """
    runs = [run for run in {run.id: run for run in runs}.values() if any(run.metrics(evaluator, r) for r in ROLES)]
    groups = _groups(runs)
    rows = []
    for run in runs:
        for role in ROLES:
            metrics = run.metrics(evaluator, role)
            if metrics is not None and value not in metrics["value"]:
                raise unknown(f"value of {evaluator}", value, metrics["value"])
            if metrics is not None:
                rows.append({"key": _key(run), "role": role, "value": metrics["value"][value]})
    if not rows:
        return pd.DataFrame(columns=[*ALWAYS, "label", "role", "mean", "sd", "n"])
    stats = pd.DataFrame(rows).groupby(["key", "role"], sort=False)["value"].agg(["mean", "std", "count"])
    stats = stats.reset_index().rename(columns={"std": "sd", "count": "n"})
    named = groups.loc[stats.pop("key")].reset_index(drop=True)
    return pd.concat([named, stats], axis=1)


def mean_sd(mean: float, sd: float) -> str:
    """Return "mean ± sd" with two decimals; the mean alone where sd is nan, as it is of one seed."""
    return f"{mean:.2f}" if math.isnan(sd) else f"{mean:.2f} ± {sd:.2f}"


def wide_table(stats: pd.DataFrame) -> pd.DataFrame:
    """Return what `table` gave with a column a role, "mean ± sd" in its unit, and the number of seeds.

    With one seed there is no standard deviation, and none is shown.
    """
    texts = list(map(mean_sd, stats["mean"], stats["sd"]))
    index = [column for column in stats.columns if column not in ("label", "role", "mean", "sd", "n")]
    wide = stats.assign(text=texts).pivot(index=index, columns="role", values="text")
    wide.insert(0, "seeds", stats.groupby(index)["n"].max())
    return wide.reset_index().rename_axis(columns=None)


def best_methods(stats: pd.DataFrame) -> list[str]:
    """Return one sentence a data set and role: the highest mean, and its lead over the next."""
    lines = []
    for (data, role), rows in stats.groupby(["data", "role"]):
        rows = rows.sort_values("mean", ascending=False)
        best = rows.iloc[0]
        line = f"{data}, {role}: {best.label} is highest with {best['mean']:.2f} (n={best.n})"
        if len(rows) > 1:
            line += f", {best['mean'] - rows.iloc[1]['mean']:+.2f} to {rows.iloc[1].label}"
        lines.append(line + ".")
    return lines


def epochs(runs: Iterable[Run]) -> pd.DataFrame:
    """Return every epoch of every run as a row: what `named` says, and all columns of history.csv."""
    return pd.DataFrame([name | epoch for run, name in named(runs) for epoch in run.history.to_dict("records")])


def named(runs: Iterable[Run]) -> list[tuple[Run, dict[str, Any]]]:
    """Return every run once, with what a row of a long table says of it: run, data, method, backbone, label, seed."""
    runs = list({run.id: run for run in runs}.values())
    groups = _groups(runs)
    pairs = []
    for run in runs:
        group = groups.loc[_key(run)]
        name = {"run": run.id} | {k: group[k] for k in ("data", "method", "backbone", "label")}
        pairs.append((run, name | {"seed": run.info["config"]["seed"]}))
    return pairs


def histories(runs: Iterable[Run]) -> pd.DataFrame:
    """Return every epoch and role of every run as a row: what `named` says, epoch, role, top1 and loss.

    top1 is in percent and loss in nats, both on test images.
    """
    whole = epochs(runs)
    if whole.empty:
        return whole
    kept = ["run", "data", "method", "backbone", "label", "seed", "epoch"]
    parts = []
    for role in ROLES:
        scores = whole[[f"{role}_top1", f"{role}_loss"]].set_axis(["top1", "loss"], axis=1)
        parts.append(pd.concat([whole[kept].assign(role=role), scores], axis=1))
    return pd.concat(parts, ignore_index=True)


def class_accuracies(runs: Iterable[Run]) -> pd.DataFrame:
    """Return accuracy (%) with a row "<run id> <role>" a network and a column a class, of runs on one data set."""
    rows, classes = {}, None
    for run in runs:
        classes = run.info["dataset"]["classes"]
        for role in ROLES:
            rows[f"{run.id} {role}"] = run.metrics("accuracy", role)["value"]["per_class"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=classes, dtype=float)


def comparable_key(run: Run) -> str:
    """Return 8 hex digits for data, network, epochs, batches, augmentation and numerics of a run.

    Not for its method, options, optimisers and teacher: runs with the same digits may be compared as methods.
    """
    of_method = ("method", "options.", "optim.", "ema.")
    values = {k: v for k, v in _settings(run).items() if not k.startswith(of_method)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _settings(run: Run) -> dict[str, Any]:
    """Return everything that makes runs comparable or not, nested settings under dotted names, without the seed."""
    # Other images or other numerics are another group, though their names be the same.
    images = {"fingerprint": run.info["dataset"]["fingerprint"], "numerics": run.info.get("numerics_version")}
    config = run.info["config"] | {"data": run.info["dataset"]["label"]} | images
    return _flat({k: v for k, v in config.items() if k not in ("seed", *PLACE_FIELDS)})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = tuple(value) if isinstance(value, list) else value
    return flat


def _key(run: Run) -> str:
    return json.dumps(_settings(run), sort_keys=True)


def _groups(runs: list[Run]) -> pd.DataFrame:
    """Return a row a group of runs, indexed by its key: the telling settings, and the label."""
    groups = {_key(run): _settings(run) for run in runs}
    if not groups:
        return pd.DataFrame(columns=[*ALWAYS, "label"])
    frame = pd.DataFrame.from_dict(groups, orient="index", dtype=object)
    telling = [name for name in frame.columns if name not in ALWAYS and _tells(frame, name)]
    frame = frame[[*ALWAYS, *telling]]
    frame = frame.where(frame.notna(), "–")  # a setting that this method does not have
    frame["label"] = frame["method"]
    for _, rows in frame.groupby(["data", "method"]):
        backbone = ["backbone"] if rows["backbone"].nunique() > 1 else []
        for _, part in rows.groupby("backbone"):
            own = backbone + [name for name in ("epochs", *telling) if part[name].nunique(dropna=False) > 1]
            for key, row in part.iterrows():
                told = (f"{n.rpartition('.')[2]} {row[n]}" for n in own if row[n] != "–")
                frame.loc[key, "label"] = ", ".join([row["method"], *told])
    return frame


def _tells(frame: pd.DataFrame, name: str) -> bool:
    # Other data or another backbone has other settings by nature, another method other options or a generator.
    of_method = name.startswith(("options.", "optim.")) and not name.startswith("optim.student.")
    parts = frame.groupby(["data", "backbone", *(["method"] if of_method else [])])
    return any(part[name].nunique(dropna=False) > 1 for _, part in parts)
