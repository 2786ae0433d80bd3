"""From learning curves to one number: which epoch, whose network, and what each choice does to a comparison.

What a reader gets wrong: three choices make a table before any method does. Which network is reported (the paper: the
teacher for AutoMix and AdAutoMix, the student for the rest), which epoch (the paper: the median of the last ten), and
whether all methods had the same schedule. Reads files, needs no torch.
"""

from collections.abc import Iterable

import pandas as pd

from adautomix.config import last_epochs
from adautomix.paper import PUBLISHED_ROLE
from adautomix.results.comparable import comparable_key
from adautomix.results.tables import named
from adautomix.runs.run import ROLES, Run
from adautomix.utils.errors import unknown

RULES = {
    "median": "median of the last 10 epochs (the paper's rule; of the second half, if a run has fewer than 20)",
    "last": "last epoch",
    "validation": "epoch with the best top-1 on held-out images",
    "best test": "epoch with the best top-1 on the test images: flatters, shown as a warning",
}
"""Ways to make one number of a learning curve; an epoch that was not evaluated cannot be the best."""


def score(history: pd.DataFrame, role: str, rule: str = "median") -> float:
    """Return the top-1 (percent) of a run's student or teacher on test images, by one of RULES.

    nan where the rule needs held-out images and the run has none, and for a run without a history.
    """
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if history.empty:
        return float("nan")
    top1 = history[f"{role}_top1"]
    if rule == "median":
        return float(top1.tail(last_epochs(len(top1))).median())
    if rule == "last":
        return float(top1.iloc[-1])
    if rule == "best test":
        return float(top1.max())
    held_out = history.get(f"{role}_val_top1", pd.Series(dtype=float)).dropna()
    return float("nan") if held_out.empty else float(top1[held_out.idxmax()])


def scores(runs: Iterable[Run]) -> pd.DataFrame:
    """Return a row for every run, role and rule: what `named` says, epochs, comparable_key, role, rule, top1 (%).

    Runs with the same `comparable_key` differ in method, options, optimisers and teacher only.
    """
    rows = []
    for run, name in named(runs):
        history = run.history
        common = name | {"epochs": len(history), "comparable_key": comparable_key(run)}
        rows += [common | {"role": k, "rule": r, "top1": score(history, k, r)} for k in ROLES for r in RULES]
    return pd.DataFrame(rows)


def conventions(values: pd.DataFrame, *, ours: str = "adautomix", rule: str = "median") -> pd.DataFrame:
    """Return how far every setting of one method is ahead of the best other method, by whose number is compared.

    Args:
        values: what `scores` returns; only runs with the same `comparable_key` are compared.
    Returns: a row per setting of `ours`, with `others` (number of other methods), `seeds` (fewest of any label), and in
        points the gains under `published` (the paper's choice of role), `student` and `teacher`; no row where there is
        no other method.
    """
    values = values[values["rule"] == rule].dropna(subset="top1")
    rows = []
    keys = ["data", "backbone", "epochs"]
    for key, part in values.groupby([*keys, "comparable_key"], sort=False):
        means = part.groupby(["method", "label", "role"])["top1"].mean().unstack("role")
        means["published"] = [row[PUBLISHED_ROLE.get(method, "student")] for (method, _), row in means.iterrows()]
        others = means.drop(index=ours, level="method", errors="ignore")
        if others.empty or len(others) == len(means):
            continue
        seeds = part.groupby("label")["seed"].nunique().min()
        counts = {"others": others.index.get_level_values("method").nunique(), "seeds": seeds}
        for label, gains in (means.loc[ours] - others.max()).iterrows():
            rows.append(dict(zip(keys, key, strict=False)) | {"setting": label} | counts | gains.to_dict())
    return pd.DataFrame(rows, columns=[*keys, "setting", "others", "seeds", "published", *ROLES])
