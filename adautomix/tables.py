"""Runs as tables: accuracies over seeds, and learning curves. Reads files only, needs no torch."""

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from adautomix.config import PLACE_FIELDS
from adautomix.run import ROLES, Run

ALWAYS = ("data", "method", "backbone", "epochs")
"""Columns every table has; further config fields appear where groups differ in them."""


def table(runs: Iterable[Run], evaluator: str = "accuracy", value: str = "top1") -> pd.DataFrame:
    """Return mean, standard deviation (ddof=1) and number of seeds of one value, a row a config and role.

    Runs are one group only if nothing but the seed differs between them. The columns name data set, method, backbone
    and epochs, and every other config field in which the groups differ.
    """
    rows = []
    for run in runs:
        # Other images or other numerics are another group; their columns show only if there are several.
        same = {"fingerprint": run.info["dataset"]["fingerprint"], "numerics": run.info["numerics_version"]}
        config = run.info["config"] | {"data": run.info["dataset"]["label"]} | same
        group = {k: v for k, v in config.items() if k not in ("seed", *PLACE_FIELDS)}
        key = json.dumps(group, sort_keys=True)
        for role in ROLES:
            metrics = run.metrics(evaluator, role)
            if metrics is not None:
                rows.append({"key": key, "role": role, "value": metrics["value"][value], "seed": config["seed"]})
    if not rows:
        return pd.DataFrame(columns=[*ALWAYS, "role", "mean", "sd", "n"])
    frame = pd.DataFrame(rows)
    stats = frame.groupby(["key", "role"], sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    groups = [json.loads(key) for key in stats["key"]]
    shown = _telling(groups)
    named = pd.DataFrame([{name: _cell(group[name]) for name in shown} for group in groups])
    stats = stats.rename(columns={"std": "sd", "count": "n"}).drop(columns="key")
    return pd.concat([named, stats], axis=1)


def wide_table(stats: pd.DataFrame) -> pd.DataFrame:
    """Return what `table` gave with a column a role, "mean ± sd" in its unit, and the number of seeds.

    With one seed there is no standard deviation, and none is shown.
    """
    texts = [
        f"{row.mean:.2f}" if row.n < 2 else f"{row.mean:.2f} ± {row.sd:.2f}"
        for row in stats[["mean", "sd", "n"]].itertuples(index=False, name="Row")
    ]
    wide = stats.assign(text=texts).drop(columns=["mean", "sd"]).rename(columns={"n": "seeds"})
    index = [column for column in wide.columns if column not in ("role", "text")]
    return wide.pivot(index=index, columns="role", values="text").reset_index().rename_axis(columns=None)


def best_methods(stats: pd.DataFrame) -> list[str]:
    """Return one sentence a data set and role: the highest mean, and its lead over the next."""
    lines = []
    for (data, role), rows in stats.groupby(["data", "role"]):
        rows = rows.sort_values("mean", ascending=False)
        best = rows.iloc[0]
        line = f"{data}, {role}: {best.method} is highest with {best['mean']:.2f} (n={best.n})"
        if len(rows) > 1:
            line += f", {best['mean'] - rows.iloc[1]['mean']:+.2f} to {rows.iloc[1].method}"
        lines.append(line + ".")
    return lines


def histories(runs: Iterable[Run]) -> pd.DataFrame:
    """Return every epoch of every run as rows: run, data, method, seed, epoch, role, top1 (%), loss (nats)."""
    rows = []
    for run in runs:
        config = run.info["config"]
        named = {
            "run": run.id,
            "data": run.info["dataset"]["label"],
            "method": config["method"],
            "seed": config["seed"],
        }
        for epoch in run.history.to_dict("records"):
            for role in ROLES:
                scores = {"top1": epoch[f"{role}_top1"], "loss": epoch[f"{role}_loss"]}
                rows.append(named | {"epoch": epoch["epoch"], "role": role} | scores)
    return pd.DataFrame(rows)


def _telling(groups: list[dict[str, Any]]) -> list[str]:
    per_method = {"options"}  # differs between methods by nature; tells something only within one
    differs = []
    for name in groups[0]:
        if name in ALWAYS:
            continue
        seen: dict[str, set[str]] = {}
        for group in groups:
            seen.setdefault(group["method"] if name in per_method else "", set()).add(json.dumps(group[name]))
        if any(len(values) > 1 for values in seen.values()):
            differs.append(name)
    return [*ALWAYS, *differs]


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value
