"""The paper's tables beside ours: every cell with its published number, and what runs of its recipe gave.

A number from fewer epochs, fewer images or other settings is not a cell of the paper's table, and says so wherever it
is shown. Reads files; loads torch only to recognise recipes.
"""

from collections.abc import Iterable

import pandas as pd

from adautomix.paper import COLUMN_NAMES, PUBLISHED_ROLE, columns, published
from adautomix.recipes import METHODS, RECIPES, Match, recognise
from adautomix.results.comparable import RECIPE, settings
from adautomix.results.logged import logged_value
from adautomix.results.selection import score
from adautomix.results.statistics import seed_sd
from adautomix.results.tables import mean_sd
from adautomix.runs.identity import NUMERICS_VERSION
from adautomix.runs.run import ROLES, Run
from adautomix.utils.errors import UserError

CELL = ["column", "method", "role"]
SETTINGS = ["epochs", "budget", "held_out", "precision", "eval_precision", "channels_last", "numerics"]
SETTINGS += ["images", "imported"]
"""What may differ among runs of a recipe: rows that agree on these (and on column and role) may be compared."""
SHOWN_AS = {"validation": "held_out", "fingerprint": "images"}
"""Settings whose column has another name."""


def of_kind(runs: Iterable[Run], *, fair: bool) -> list[Run]:
    """Return the runs without a recipe's other kind: of AutoMix and AdAutoMix those that are fair, or those not."""
    kept = []
    for run in runs:
        match = match_of(run)
        either = match is None or match.recipe.config(fair=True) == match.recipe.config()
        kept += [run] if either or match.fair == fair else []
    return kept


def cells(runs: Iterable[Run], table: int, *, fair: bool = False, rule: str = "median") -> pd.DataFrame:
    """Return Table 1 or 2, one row per cell and role: published, measured, and what separates them.

    Only runs of a recipe count (`recipes.recognise`); runs on different budgets are rows of their own.

    Args:
        fair: the fair runs of AutoMix and AdAutoMix instead of the released ones; the other methods' are the same.
        rule: one of RULES.
    Returns: column, method, role, paper, paper_role (whose number was published), log (what the paper's rule makes of
        the authors' own log, nan without one), log_epochs, SETTINGS, n, mean, sd, difference (mean less paper, where
        paper_role is this role) and gain (over the best other method of the column with the same role and settings),
        in percent or points; `n` counts seeds, `budget` is the share of the recipe's epochs.
        Where a cell was not run n is 0 and the rest missing; where the rule needs images that were not held out, n is
        0 and the settings are there.
    Raises: UserError for another table, and for an unknown rule.
    """
    if table not in (1, 2):
        raise UserError(f"table must be 1 or 2, got {table}; Table 3 is in 32_table3_robustness")
    places = [(column, method, role) for column in columns(table) for method in METHODS for role in ROLES]
    made = pd.DataFrame(places, columns=CELL)
    made["paper"] = [published(column, method) for column, method, _ in places]
    made["paper_role"] = made["method"].map(PUBLISHED_ROLE).fillna("student")
    logged = [logged_value(*place) or (float("nan"), float("nan")) for place in places]
    made[["log", "log_epochs"]] = pd.DataFrame(logged, index=made.index)
    made = made.merge(_measured(runs, fair, rule), how="left", on=CELL).infer_objects()
    made["n"] = made["n"].fillna(0).astype(int)
    made["difference"] = (made["mean"] - made["paper"]).where(made["role"] == made["paper_role"])
    made["gain"] = _gains(made)
    return made


def detail(made: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one column of `cells` for reading: one row per method and budget.

    Columns method, paper, whose (the role that was published), log (of the published role) and log_epochs, on (the
    budget), student and teacher ("mean ± sd (n)"), difference and gain of the published role, in percent and points.
    """
    rows = []
    part = made[made["column"] == column]
    for (method, *_), group in part.groupby(["method", *SETTINGS], sort=False, dropna=False):
        of = {row.role: row for row in group.itertuples()}
        reported = of[of["student"].paper_role]
        head = {"method": method, "paper": reported.paper, "whose": reported.paper_role, "log": reported.log}
        head |= {"log_epochs": reported.log_epochs, "on": departure(reported)}
        texts = {role: _text(of[role]) for role in ROLES}
        rows.append(head | texts | {"difference": reported.difference, "gain": reported.gain})
    return pd.DataFrame(rows)


def overview(made: pd.DataFrame) -> pd.DataFrame:
    """Return `cells` in the paper's shape, methods by columns: "paper / log / ours", of the role that was published.

    What is not the recipe's own setting stands behind the number: "78.04 / no log / 61.20 (8 of 800 epochs)".
    """
    own = made[made["role"] == made["paper_role"]].copy()
    own["text"] = [_pair(row) for row in own.itertuples(index=False)]
    wide = own.groupby(["method", "column"], sort=False)["text"].agg("; ".join).unstack("column")
    order = list(dict.fromkeys(made["column"]))
    return wide.loc[list(METHODS), order].rename(columns=COLUMN_NAMES).rename_axis(columns=None)


def markdown(frame: pd.DataFrame) -> str:
    """Return a frame, without its index, as a Markdown table; a bar within a cell stays one."""
    cells = frame.astype(str).map(lambda text: text.replace("|", "\\|")).to_numpy().tolist()
    lines = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def require_runs(runs: list[Run], outputs: str) -> list[Run]:
    """Return the runs; raises UserError if there are none."""
    if not runs:
        raise UserError(f"no finished runs in {outputs}: run 10_train or 12_recipe first")
    return runs


def _measured(runs: Iterable[Run], fair: bool, rule: str) -> pd.DataFrame:
    """Return one row per cell, role and kind of settings: these, n, mean and sd over seeds."""
    rows = []
    for run in of_kind(runs, fair=fair):
        if match := match_of(run):
            head = {"column": match.recipe.column, "method": match.recipe.method, "seed": run.config.seed}
            head |= {SHOWN_AS.get(name, name): value for name, value in settings(run, apart=RECIPE).items()}
            head |= {"budget": match.budget, "imported": _imported(run)}
            rows += [head | {"role": role, "top1": _top1(run, role, rule)} for role in ROLES]
    keys = [*CELL, *SETTINGS]
    frame = pd.DataFrame(rows, columns=[*keys, "seed", "top1"]).astype({"top1": float})
    by_kind = frame.drop_duplicates([*keys, "seed"], keep="last").groupby(keys, dropna=False)["top1"]
    return by_kind.agg(n="count", mean="mean", sd=seed_sd).reset_index()


def match_of(run: Run) -> Match | None:
    """Return the recipe that a run is of; of an imported one the recipe that was named."""
    if run.imported:
        recipe = run.info["imported"]["recipe"]
        return None if recipe is None else Match(RECIPES[recipe], 1.0, fair=False)
    return recognise(run.config, run.info["dataset"])


def _imported(run: Run) -> int:
    """Return the test images that an imported run was evaluated on; 0 for one that was trained here."""
    measured = run.metrics("accuracy", run.roles[-1]) if run.imported else None
    return 0 if measured is None else measured["n_images"]


def _top1(run: Run, role: str, rule: str) -> float:
    """Return a run's number; of an imported one what was measured here, if it was, whatever the rule."""
    if not run.imported:
        return score(run.history, role, rule)
    measured = run.metrics("accuracy", role)
    return float("nan") if measured is None else measured["value"]["top1"]


def _gains(made: pd.DataFrame) -> pd.Series:
    gains = pd.Series(float("nan"), index=made.index)
    for _, alike in made.groupby(["column", "role", *SETTINGS]):  # without those not run, whose settings are missing
        for row in alike.itertuples():
            gains[row.Index] = row.mean - alike.loc[alike["method"] != row.method, "mean"].max()
    return gains


def _text(row) -> str:
    if not row.n:
        return "not run" if pd.isna(row.epochs) else "no held-out images"
    return f"{mean_sd(row.mean, row.sd)} (n={row.n})"


def departure(row) -> str:
    """Return in which way runs depart from their recipe, or "all epochs"."""
    if pd.isna(row.epochs):
        return "not run"
    if row.imported:
        return f"imported weights, {row.imported:,.0f} images"
    whole = round(row.epochs / row.budget)
    departs = [f"{row.epochs:.0f} of {whole} epochs"] if row.budget < 1 else ["all epochs"]
    departs += [f"{100 * row.held_out:g} % held out"] if row.held_out else []
    departs += [row.precision] if row.precision != "float32" else []
    departs += [f"evaluated in {row.eval_precision}"] if row.eval_precision != "float32" else []
    departs += ["channels last"] if row.channels_last else []
    departs += [f"numerics {row.numerics:.0f}"] if row.numerics != NUMERICS_VERSION else []
    return ", ".join(departs)


def _pair(row) -> str:
    paper = "–" if pd.isna(row.paper) else f"{row.paper:.2f}"
    log = "no log" if pd.isna(row.log) else f"{row.log:.2f}"
    if row.log_epochs < RECIPES[f"{row.column}/{row.method}"].epochs:
        log += f" ({row.log_epochs:.0f} epochs)"
    if not row.n:
        return f"{paper} / {log} / {_text(row)}"
    on = departure(row)
    return f"{paper} / {log} / {row.mean:.2f}" + ("" if on == "all epochs" else f" ({on})")
