"""The paper's tables beside ours: every cell with its published number, and what runs of its recipe gave.

What a reader gets wrong: three choices make a table before any method does. Which network is reported (the paper: the
teacher for AutoMix and AdAutoMix, the student for the rest), which epoch (the paper: the median of the last ten), and
whether all methods had the same schedule. Here each choice is a column or a switch. Reads files; loads torch only to
recognise recipes.
"""

from collections.abc import Iterable

import pandas as pd

from adautomix.errors import UserError, unknown
from adautomix.paper import COLUMN_NAMES, PUBLISHED_ROLE, columns, published
from adautomix.recipes import METHODS, recognise
from adautomix.run import ROLES, Run
from adautomix.tables import named

RULES = {
    "median": "median of the last 10 epochs (the paper's rule; of the second half, if a run has fewer than 20)",
    "last": "last epoch",
    "validation": "epoch with the best top-1 on held-out images",
    "best test": "epoch with the best top-1 on the test images: flatters, shown as a warning",
}
"""Ways to make one number of a learning curve."""
WINDOW = 10


def score(history: pd.DataFrame, role: str, rule: str = "median") -> float:
    """Return the top-1 (percent) of a run's student or teacher on test images, by one of RULES.

    nan where the rule needs held-out images and the run has none.
    """
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    top1 = history[f"{role}_top1"]
    if rule == "median":
        return float(top1.tail(min(WINDOW, -(-len(top1) // 2))).median())
    if rule == "last":
        return float(top1.iloc[-1])
    if rule == "best test":
        return float(top1.max())
    held_out = f"{role}_val_top1"
    return float(top1[history[held_out].idxmax()]) if held_out in history else float("nan")


def scores(runs: Iterable[Run]) -> pd.DataFrame:
    """Return a row for every run, role and rule: what `named` says, epochs, role, rule and top1 (percent)."""
    rows = []
    for run, name in named(runs):
        history = run.history
        common = name | {"epochs": len(history)}
        rows += [common | {"role": k, "rule": r, "top1": score(history, k, r)} for k in ROLES for r in RULES]
    return pd.DataFrame(rows)


def conventions(values: pd.DataFrame, *, ours: str = "adautomix", rule: str = "median") -> pd.DataFrame:
    """Return how far one method is ahead of the best other, by whose number is compared.

    Args:
        values: what `scores` returns; of methods with several settings the best setting counts.
    Returns: a row a data set, network and number of epochs, with `seeds` (fewest of any method), and in points the
        gains under `published` (the paper's choice of role), `student` and `teacher`; no row without `ours`.
    """
    rows = []
    values = values[values["rule"] == rule]
    for key, part in values.groupby(["data", "backbone", "epochs"]):
        means = (
            part.groupby(["label", "method", "role"])["top1"].mean().groupby(["method", "role"]).max().unstack("role")
        )
        if ours not in means.index or len(means) < 2:
            continue
        means["published"] = [row[PUBLISHED_ROLE.get(method, "student")] for method, row in means.iterrows()]
        gains = means.loc[ours] - means.drop(index=ours).max()
        seeds = part.groupby("label")["seed"].nunique().min()
        rows.append(dict(zip(["data", "backbone", "epochs"], key, strict=True)) | {"seeds": seeds} | gains.to_dict())
    return pd.DataFrame(rows, columns=["data", "backbone", "epochs", "seeds", "published", *ROLES])


def cells(runs: Iterable[Run], table: int, *, fair: bool = False, rule: str = "median") -> pd.DataFrame:
    """Return Table 1 or 2, a row a cell and role: published, measured, and what separates them.

    Only runs of a recipe count (`recipes.recognise`); runs on different budgets are rows of their own.

    Args:
        fair: the fair runs of AutoMix and AdAutoMix instead of the released ones; the other methods' are the same.
        rule: one of RULES.
    Returns: columns column, method, role, paper, paper_role, epochs, budget, held_out, precision, n, mean, sd,
        difference (mean less paper, where paper_role is this role) and gain (over the best other method of the column
        with the same role and settings), in percent or points; n is 0 and the rest missing where a cell was not run.
    """
    groups = _measured(runs, fair, rule)
    rows = []
    for column in columns(table):
        for method in METHODS:
            for role in ROLES:
                head = {"column": column, "method": method, "role": role, "paper": published(column, method)}
                head["paper_role"] = PUBLISHED_ROLE.get(method, "student")
                found = groups.get((column, method, role), {})
                rows += [head | measured for measured in found.values()] or [head | {"n": 0}]
    made = pd.DataFrame(rows, columns=CELL_COLUMNS[:-2])
    made["difference"] = (made["mean"] - made["paper"]).where(made["role"] == made["paper_role"])
    made["gain"] = _gains(made)
    return made


CELL_COLUMNS = [
    "column", "method", "role", "paper", "paper_role", "epochs", "budget", "held_out", "precision", "n", "mean", "sd",
    "difference", "gain",
]  # fmt: skip
SETTINGS = ["column", "role", "epochs", "held_out", "precision"]
"""Rows that agree on these may be compared."""


def detail(made: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one column of `cells` for reading: a row a method and budget.

    Columns method, paper, whose (the role that was published), on (the budget), student and teacher ("mean ± sd (n)"),
    difference and gain of the published role, in percent and points.
    """
    rows = []
    part = made[made["column"] == column]
    keys = ["epochs", "budget", "held_out", "precision"]
    for (method, *_), group in part.groupby(["method", *keys], sort=False, dropna=False):
        of = {row.role: row for row in group.itertuples()}
        reported = of[of["student"].paper_role]
        head = {"method": method, "paper": reported.paper, "whose": reported.paper_role, "on": _budget(reported)}
        texts = {role: _text(of[role]) for role in ROLES}
        rows.append(head | texts | {"difference": reported.difference, "gain": reported.gain})
    return pd.DataFrame(rows)


def overview(made: pd.DataFrame) -> pd.DataFrame:
    """Return `cells` in the paper's shape, methods by columns: "paper / measured", of the role that was published.

    On less than all epochs the number carries their count: "78.04 / 61.20 (8 epochs)".
    """
    own = made[made["role"] == made["paper_role"]].copy()
    own["text"] = [_pair(row) for row in own.itertuples(index=False)]
    wide = own.groupby(["method", "column"], sort=False)["text"].agg("; ".join).unstack("column")
    order = list(dict.fromkeys(made["column"]))
    return wide.loc[list(METHODS), order].rename(columns=COLUMN_NAMES).rename_axis(columns=None)


def markdown(frame: pd.DataFrame) -> str:
    """Return a frame with its index as a Markdown table."""
    frame = frame.reset_index()
    lines = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _measured(runs: Iterable[Run], fair: bool, rule: str) -> dict[tuple, dict[tuple, dict]]:
    """Return, by column, method and role, one entry for every budget: n, mean, sd and settings."""
    found: dict[tuple, dict[tuple, list[float]]] = {}
    for run in {run.id: run for run in runs}.values():
        config = run.config
        match = recognise(config)
        if match is None or (match.fair != fair and match.recipe.config(fair=True) != match.recipe.config()):
            continue
        settings = (config.epochs, match.budget, config.validation, config.precision)
        for role in ROLES:
            cell = found.setdefault((match.recipe.column, config.method, role), {})
            cell.setdefault(settings, []).append(score(run.history, role, rule))
    return {cell: {k: _statistics(k, v) for k, v in sorted(groups.items())} for cell, groups in found.items()}


def _statistics(settings: tuple, values: list[float]) -> dict:
    numbers = pd.Series(values).dropna()
    names = ("epochs", "budget", "held_out", "precision")
    return dict(zip(names, settings, strict=True)) | {"n": len(numbers), "mean": numbers.mean(), "sd": numbers.std()}


def _gains(made: pd.DataFrame) -> list[float]:
    gains = []
    for row in made.itertuples():
        alike = (made[SETTINGS] == [getattr(row, name) for name in SETTINGS]).all(axis=1)
        others = made.loc[alike & (made["method"] != row.method), "mean"]
        gains.append(row.mean - others.max() if row.n else float("nan"))
    return gains


def _text(row) -> str:
    if not row.n:
        return "not run"
    return f"{row.mean:.2f}" + (f" ± {row.sd:.2f}" if row.n > 1 else "") + f" (n={row.n})"


def _budget(row) -> str:
    if not row.n:
        return "not run"
    held_out = f", {100 * row.held_out:g} % held out" if row.held_out else ""
    return ("all epochs" if row.budget == 1 else f"{row.epochs:.0f} epochs, {100 * row.budget:.2g} %") + held_out


def _pair(row) -> str:
    paper = "–" if pd.isna(row.paper) else f"{row.paper:.2f}"
    if not row.n:
        return f"{paper} / not run"
    few = "" if row.budget == 1 else f" ({row.epochs:.0f} epochs)"
    return f"{paper} / {row.mean:.2f}{few}"


def require_runs(runs: list[Run], outputs: str) -> list[Run]:
    """Return the runs; raises UserError if there are none."""
    if not runs:
        raise UserError(f"no finished runs in {outputs}: run 10_train or 12_recipe first")
    return runs
