"""The authors' logs under our rules: what they give for a cell, what the paper printed, and our curves on theirs."""

import math
from collections.abc import Iterable

import pandas as pd

from adautomix.methods import resolve_options
from adautomix.paper import PUBLISHED_ROLE, epochs_of, first_iterations, log_of_cell, logs, published, table3
from adautomix.recipes import RECIPES, recognise
from adautomix.recipes.released import IMAGES
from adautomix.results.selection import RULES, score
from adautomix.runs.run import ROLES, Run

PRINTED = 0.05
"""Points by which a statistic of a log may differ from a published number and still explain it."""
WINDOW = 50
"""Iterations that the logs average over."""
DECIMALS = 1e-6
"""Rounding of a logged accuracy, as a share: percents with three decimals or more."""
COSINES = (0.4, 1.0)
"""Cosine between a mix's logits and its parts' at the start; four logs that name it have 0.41 to 0.78."""
STATISTICS = {
    "median of the last 10": lambda top1: top1.tail(10).median(),
    "mean of the last 10": lambda top1: top1.tail(10).mean(),
    "last": lambda top1: top1.iloc[-1],
    "best": lambda top1: top1.max(),
}
"""Numbers that may have been taken from a curve; the paper states the first."""


def logged_value(column: str, method: str, role: str) -> tuple[float, int] | None:
    """Return what the paper's rule makes of the authors' log of a cell (top-1, percent), and the log's epochs.

    None where there is no log, or no network in that role.
    """
    run = log_of_cell(column, method)
    if run is None:
        return None
    history = epochs_of(run["log"])
    if history[f"{role}_top1"].isna().all():
        return None
    return score(history, role), int(run["epochs"])


def agreement() -> pd.DataFrame:
    """Return a row per log of a cell of Tables 1 and 2: what was published and logged, what explains the number.

    Columns log, column, method, epochs, role (the paper's), paper, logged (by the paper's rule, percent), difference
    (logged less paper, points) and explained_by: the networks' STATISTICS within PRINTED points of the paper's number.
    """
    rows = []
    for run in logs().itertuples():
        paper = published(run.column, run.method)
        if paper is None:
            continue
        history, role = epochs_of(run.log), PUBLISHED_ROLE.get(run.method, "student")
        logged = score(history, role)
        row = {"log": run.log, "column": run.column, "method": run.method, "epochs": run.epochs, "role": role}
        row |= {"paper": paper, "logged": logged, "difference": logged - paper}
        rows.append(row | {"explained_by": "; ".join(_explanations(history, paper)) or "none"})
    return pd.DataFrame(rows)


def short_runs_and_table3() -> pd.DataFrame:
    """Return the 200-epoch logs of CIFAR-100, ResNet-18 beside Table 3's clean accuracies, which are of such runs.

    Columns method, role, paper (Table 3), logged (the paper's rule) and difference, in percent and points.
    """
    clean, rows = table3()["clean_accuracy"].dropna(), []
    for run in logs().query("column == 'cifar100_resnet18' and epochs == 200").itertuples():
        if run.method in clean:
            role = PUBLISHED_ROLE.get(run.method, "student")
            logged = score(epochs_of(run.log), role)
            row = {"method": run.method, "role": role, "paper": clean[run.method], "logged": logged}
            rows.append(row | {"difference": logged - clean[run.method]})
    return pd.DataFrame(rows)


def log_scores() -> pd.DataFrame:
    """Return one row per log, role and rule: log, column, method, epochs, role, rule, top1 (percent)."""
    rows = []
    for run in logs().itertuples():
        history = epochs_of(run.log)
        head = {"log": run.log, "column": run.column, "method": run.method, "epochs": run.epochs}
        for role in ROLES:
            if history[f"{role}_top1"].notna().any():
                rules = [rule for rule in RULES if rule != "validation"]
                rows += [head | {"role": role, "rule": r, "top1": score(history, role, r)} for r in rules]
    return pd.DataFrame(rows)


def first_losses() -> pd.DataFrame:
    """Return what the first window of every log of AdAutoMix gives away, beside what our recipe has.

    A row per log: column, epochs, n_mix (images mixed, told by the decimals of `acc_one_q`: with more than two it is
    the mean of two accuracies, and comes in halves of an image), loss (sum of all terms), beta_low and beta_high (the
    beta with which the released objective has that loss, for a cosine between COSINES), and the recipe's recipe_n_mix
    and recipe_beta.

    Before anything is learned every cross-entropy is L = log K. The student has two of them, the generator in turns L
    and (1 - beta) cosine - beta L: on average 2.5 L - beta L / 2 + (1 - beta) cosine / 2.
    """
    rows = []
    for run in logs().query("method == 'adautomix'").itertuples():
        windows = first_iterations(run.log)
        images = WINDOW * run.batch_per_gpu * int(run.gpus.split("x")[0])
        right = windows["acc_one_q"] * images / 100
        whole = ((right - right.round()).abs() < DECIMALS * images).all()
        recipe = RECIPES[f"{run.column}/adautomix"].config()
        entropy, loss = math.log(IMAGES[recipe.data][0]), windows["loss"].iloc[0]
        low, high = ((2.5 * entropy + c / 2 - loss) / ((entropy + c) / 2) for c in COSINES)
        row = {"column": run.column, "epochs": run.epochs, "n_mix": 2 if whole else 3, "loss": loss}
        options = resolve_options("adautomix", recipe.options)
        row |= {"beta_low": low, "beta_high": high, "recipe_n_mix": options["n_mix"], "recipe_beta": options["beta"]}
        rows.append(row)
    return pd.DataFrame(rows)


def beside_log(runs: Iterable[Run]) -> pd.DataFrame:
    """Return our runs of a recipe and the log of its cell, epoch by epoch, as far as ours went.

    A row per epoch, role and source: run, column, method, epochs (ours), epochs_of_log, epoch, role, source ("ours" or
    "the authors'"), top1 (percent). A run of fewer epochs had another schedule, so that its curve is not the log's.
    """
    parts = []
    for run in runs:
        match = recognise(run.config, run.info["dataset"])
        logged = None if match is None else log_of_cell(match.recipe.column, match.recipe.method)
        if logged is None or run.history.empty:  # in its first epoch
            continue
        head = {"run": run.id, "column": match.recipe.column, "method": match.recipe.method}
        head |= {"epochs": run.config.epochs, "epochs_of_log": int(logged["epochs"])}
        for source, history in (("ours", run.history), ("the authors'", epochs_of(logged["log"]))):
            for role in ROLES:
                curve = history[["epoch", f"{role}_top1"]].set_axis(["epoch", "top1"], axis=1).dropna()
                curve = curve[curve["epoch"] <= len(run.history)]
                parts.append(curve.assign(**head, role=role, source=source))
    names = ["run", "column", "method", "epochs", "epochs_of_log", "epoch", "role", "source", "top1"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def _explanations(history: pd.DataFrame, paper: float) -> list[str]:
    found = []
    for network in ("teacher_one", "student_one", "teacher_mix", "student_mix"):
        top1 = history[network].dropna()
        for name, statistic in STATISTICS.items():
            if len(top1) and abs(statistic(top1) - paper) <= PRINTED:
                role, head = network.split("_")
                found.append(f"{role}{'' if head == 'one' else ' (mix head)'}: {name}")
    return found
