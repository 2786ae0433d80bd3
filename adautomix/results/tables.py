"""Runs as tables: accuracies over seeds, and learning curves. Reads files only, needs no torch.

Runs are averaged only if nothing but the seed differs (`comparable`). Where one method was run with several settings,
each is a row of its own, and `label` says what tells them apart.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from adautomix.results.comparable import METHOD, each_once, group_key, settings
from adautomix.results.held import number_in
from adautomix.results.statistics import seed_sd
from adautomix.runs.identity import flat
from adautomix.runs.run import ROLES, Run, find_runs
from adautomix.utils.errors import UserError, first_five

ALWAYS = ("data", "method", "backbone", "epochs")
"""Columns every table has; further settings appear where groups differ in them."""


def table(runs: Iterable[Run] | str | Path, evaluator: str = "accuracy", value: str = "top1") -> pd.DataFrame:
    """Return mean, standard deviation (ddof=1), number of seeds and the `values` of all, one row per group and role.

    Of runs, or of all finished ones below a folder. With fewer than three seeds there is no standard deviation (nan).

    The columns name data set, method, backbone and epochs, every other setting in which the groups differ, and a
    `label` that is unique among the groups of a data set. Results of one group that were measured differently, on
    another number of images or with other settings of the evaluator, are rows of their own, which `measured.` columns
    tell apart. The same run found twice counts once.

    Raises: UserError as `number_in`.
    """
    found = measured(find_runs(runs) if isinstance(runs, str | Path) else runs, evaluator)
    keys = _keys(run for run, *_ in found)
    ways = _ways(((keys[run.id], role), result) for run, role, result in found)
    rows = []
    for (run, role, result), way in zip(found, ways, strict=True):
        number = number_in(run, evaluator, result, value)
        rows.append({"key": keys[run.id], "way": way, "role": role, "value": number})
    values = pd.DataFrame(rows, columns=["key", "way", "role", "value"])
    stats = values.groupby(["key", "way", "role"], sort=False)["value"]
    stats = stats.agg(mean="mean", sd=seed_sd, n="count", values=tuple).reset_index()
    groups = _groups((run for run, *_ in found), keys).loc[stats.pop("key")].reset_index(drop=True)
    told = [dict(way) for way in stats.pop("way")]
    groups["label"] = [
        ", ".join([label, *(f"{name} {value}" for name, value in way.items())])
        for label, way in zip(groups["label"], told, strict=True)
    ]
    more = pd.DataFrame(told, index=groups.index, dtype=object).add_prefix("measured.").fillna("–")
    return pd.concat([groups.drop(columns="label"), more, groups["label"], stats], axis=1)


def measured_as(result: Mapping[str, Any]) -> dict[str, str]:
    """Return how an evaluator's result was measured: the number of images, and the evaluator's settings, as text."""
    settings = flat(result.get("settings", {}))
    return {"images": str(result.get("n_images")), **{name: str(value) for name, value in settings.items()}}


def _ways(found: Iterable[tuple[Any, Mapping[str, Any]]]) -> list[tuple[tuple[str, str], ...]]:
    """Return of each result, given with its group, that in which results of its group were measured differently."""
    ways = [(group, measured_as(result)) for group, result in found]
    groups: dict[Any, list[dict[str, str]]] = {}
    for group, way in ways:
        groups.setdefault(group, []).append(way)
    differing = {}
    for group, members in groups.items():
        names = dict.fromkeys(name for way in members for name in way)
        differing[group] = [name for name in names if len({way.get(name) for way in members}) > 1]
    return [tuple((name, way.get(name, "–")) for name in differing[group]) for group, way in ways]


def measured(runs: Iterable[Run], evaluator: str) -> list[tuple[Run, str, dict[str, Any]]]:
    """Return every run once, with role and an evaluator's result; networks without one are left out."""
    found = [(run, role, run.metrics(evaluator, role)) for run in each_once(runs) for role in ROLES]
    return [entry for entry in found if entry[2] is not None]


def counted(runs: Iterable[Run]) -> str:
    """Return how many runs there are, one line per data set, backbone and number of epochs, by method."""
    kinds: dict[tuple, dict[str, int]] = {}
    runs = each_once(runs)
    for run in runs:
        config = run.config
        methods = kinds.setdefault((run.info["dataset"]["label"], config.backbone, config.epochs), {})
        methods[config.method] = methods.get(config.method, 0) + 1
    lines = [f"{len(runs)} runs"]
    for (data, backbone, epochs), methods in sorted(kinds.items()):
        told = ", ".join(f"{method} {count}" for method, count in methods.items())
        lines.append(f"  {data}, {backbone}, {epochs} epochs: {told}")
    return "\n".join(lines)


def mean_sd(mean: float, sd: float, digits: int = 2) -> str:
    """Return "mean ± sd", or the mean alone where there is no sd (`statistics.seed_sd`)."""
    return f"{mean:.{digits}f}" + ("" if math.isnan(sd) else f" ± {sd:.{digits}f}")


def wide_table(stats: pd.DataFrame) -> pd.DataFrame:
    """Return what `table` gave with one column per role, "mean ± sd" in its unit, and the number of seeds.

    With fewer than three seeds no standard deviation is shown.
    """
    rest = ("label", "role", "mean", "sd", "n", "values")
    stats = stats.assign(text=list(map(mean_sd, stats["mean"], stats["sd"])))
    return widened(stats, [column for column in stats if column not in (*rest, "text")], "role")


def widened(stats: pd.DataFrame, index: list[str], columns: str) -> pd.DataFrame:
    """Return a row for every `index`, with the most seeds (`n`) of any column and the `text` in a column per value."""
    wide = stats.pivot(index=index, columns=columns, values="text")[list(stats[columns].unique())]
    wide.insert(0, "seeds", stats.groupby(index)["n"].max())
    return wide.reset_index().rename_axis(columns=None)


def best_methods(stats: pd.DataFrame) -> list[str]:
    """Return one sentence a data set, role and kind of training: the highest mean, and its lead over the next.

    Only what differs in settings of the method alone is compared (`comparable.METHOD`), and what was measured alike.
    """
    of_method = (*(f"{name}." for name in METHOD), "method.", "label.", "mean.", "sd.", "n.", "values.")
    shared = [name for name in stats if not f"{name}.".startswith(of_method) and name not in ("data", "role")]
    telling = [name for name in shared if stats[name].nunique(dropna=False) > 1]
    lines = []
    for (data, role, *told), rows in stats.groupby(["data", "role", *telling], dropna=False):
        rows = rows.sort_values("mean", ascending=False)
        best = rows.iloc[0]
        kind = "".join(f", {name} {one}" for name, one in zip(telling, told, strict=True) if one != "–")
        line = f"{data}{kind}, {role}: {best.label} is highest with {best['mean']:.2f} (n={best.n})"
        if len(rows) > 1:
            line += f", {best['mean'] - rows.iloc[1]['mean']:+.2f} to {rows.iloc[1].label}"
        lines.append(line + ".")
    return lines


def named(runs: Iterable[Run]) -> list[tuple[Run, dict[str, Any]]]:
    """Return every run once, with what a row of a long table says of it: run, data, method, backbone, label, seed."""
    runs = each_once(runs)
    keys = _keys(runs)
    groups = _groups(runs, keys)[["data", "method", "backbone", "label"]].to_dict("index")
    return [(run, {"run": run.id} | groups[keys[run.id]] | {"seed": run.config.seed}) for run in runs]


def epochs(runs: Iterable[Run]) -> pd.DataFrame:
    """Return every epoch of every run as a row: what `named` says, and all columns of history.csv."""
    return pd.DataFrame([name | epoch for run, name in named(runs) for epoch in run.history.to_dict("records")])


def histories(runs: Iterable[Run]) -> pd.DataFrame:
    """Return every evaluated epoch and role of every run as a row: what `named` says, epoch, role, top1 and loss.

    top1 is in percent and loss in nats, both on test images.
    """
    whole = epochs(runs)
    if whole.empty:
        return whole
    kept = whole[["run", "data", "method", "backbone", "label", "seed", "epoch"]]
    return pd.concat(
        [kept.assign(role=role, top1=whole[f"{role}_top1"], loss=whole[f"{role}_loss"]) for role in ROLES],
        ignore_index=True,
    ).dropna(subset="top1", ignore_index=True)


def class_accuracies(runs: Iterable[Run]) -> pd.DataFrame:
    """Return accuracy (%) with a row "<run id> <role>" for every network that has one, and one column per class.

    Raises: UserError for runs on other classes than the first one's.
    """
    rows, classes = {}, None
    for run, role, result in measured(runs, "accuracy"):
        own = run.info["dataset"]["classes"]
        if classes not in (None, own):
            raise UserError(f"runs on one data set are needed: {run.id} has the classes {first_five(own)}")
        classes, rows[f"{run.id} {role}"] = own, result["value"]["per_class"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=classes, dtype=float)


def _keys(runs: Iterable[Run]) -> dict[str, str]:
    """Return every run's group, by its id: reading a run's settings takes a millisecond, and there may be thousands."""
    return {run.id: group_key(run) for run in each_once(runs)}


def _groups(runs: Iterable[Run], keys: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per group of runs, indexed by its key: the telling settings, and the label."""
    one = {keys[run.id]: run for run in runs}
    groups = {key: settings(run) for key, run in one.items()}
    if not groups:
        return pd.DataFrame(columns=[*ALWAYS, "label"])
    frame = pd.DataFrame.from_dict(groups, orient="index", dtype=object)
    telling = [name for name in frame.columns if name not in ALWAYS and _tells(frame, name)]
    frame = frame[[*ALWAYS, *telling]]
    frame = frame.where(frame.notna(), "–")  # a setting that this method does not have
    labels = {}
    for _, rows in frame.groupby(["data", "method"]):
        backbone = ["backbone"] if rows["backbone"].nunique() > 1 else []
        for _, part in rows.groupby("backbone"):
            own = backbone + [name for name in ("epochs", *telling) if part[name].nunique(dropna=False) > 1]
            for key, row in part.iterrows():
                told = (f"{n.rpartition('.')[2]} {row[n]}" for n in own if row[n] != "–")
                labels[key] = ", ".join([row["method"], *told])
    return frame.assign(label=pd.Series(labels, dtype=object))


def _tells(frame: pd.DataFrame, name: str) -> bool:
    # Other data or another backbone has other settings by nature, another method other options or a generator.
    of_method = name.startswith(("options.", "optim.")) and not name.startswith("optim.student.")
    parts = frame.groupby(["data", "backbone", *(["method"] if of_method else [])])
    return any(part[name].nunique(dropna=False) > 1 for _, part in parts)
