"""What the front page says of the published study and of the authors' logs."""

import math
from pathlib import Path

import pandas as pd

from adautomix.methods import METHODS
from adautomix.results import REGIME, gains, gains_by_seed, log_scores, main_regime, one_precision
from adautomix.results.statistics import FEWEST_SEEDS
from adautomix.utils.paths import shipped

STUDY = Path("outputs/reference/small_data")
"""The workbook's published study: scores.csv, and a figure of it."""


def logged() -> dict[str, str]:
    """Return what the authors' 200 epochs of CIFAR-100, ResNet-18 gave, by the paper's rule, in percent."""
    median = log_scores().query("column == 'cifar100_resnet18' and epochs == 200 and rule == 'median'")
    top1 = median.pivot(index="method", columns="role", values="top1")
    plain = top1.loc[top1["teacher"].isna(), "student"]
    numbers = {"teacher": top1.at["adautomix", "teacher"], "student": top1.at["adautomix", "student"]}
    numbers |= {"plain": plain.max(), "automix": top1.at["automix", "teacher"]}
    return {name: f"{number:.1f}" for name, number in numbers.items()} | {"plain_method": plain.idxmax()}


def study_table() -> str:
    """Return the published study's longest regime, one row per method; empty where the study is not there."""
    path = shipped(STUDY / "scores.csv")
    if not path.exists():
        return ""
    whole = pd.read_csv(path)
    values = main_regime(whole)
    median = values[values["rule"] == "median"]
    wide = median.pivot_table(index="method", columns="role", values="top1").round(1)
    each = gains_by_seed(values).sort_values("seed").groupby("method")["difference"]
    wide["gain of the student, seed by seed"] = each.agg(lambda part: ", ".join(map("{:+.1f}".format, part)))
    tested = gains(values).set_index("method")
    wide["mean gain"] = tested["difference"].map("{:+.1f}".format)
    wide["95 % interval"] = tested.apply(_interval, axis=1)
    wide.insert(0, "seeds", median.groupby("method")["seed"].nunique())
    rows = wide.loc[[name for name in METHODS if name in wide.index]].reset_index().rename_axis(columns=None).fillna("")
    row = median.iloc[0]
    regime = f"{row['data']}, {row['per_class']} images a class, {row['epochs']} epochs"
    told = f"**Our own study**, {regime}: top-1 in % (median of the last ten epochs, mean over seeds); gains in points"
    told += (
        f" over no mixing with the same seed. Compare methods within a seed; an interval needs {FEWEST_SEEDS} of them."
    )
    shown = f"{told}\n\n<div class='results'>\n{rows.to_html(index=False, border=0)}\n</div>"
    return "\n\n".join([shown, *_in_other_precisions(whole, row)])


def _in_other_precisions(values: pd.DataFrame, main: pd.Series) -> list[str]:
    """Return a sentence on the gains of methods that were run in another precision than the main regime's alone."""
    apart = [name for name in REGIME if name != "precision"]
    told = []
    for precision, rows in one_precision(gains(values)).groupby("precision"):
        if precision != main["precision"] and len(rows := rows[(rows[apart] == main[apart]).all(axis=1)]):
            seeds = "one seed" if rows["pairs"].max() == 1 else f"{rows['pairs'].max()} seeds at most"
            each = ", ".join(f"{row.label} {row.difference:+.1f}" for row in rows.itertuples())
            told.append(f"In {precision}, gains over no mixing in {precision} ({seeds}): {each}.")
    return told


def _interval(row: pd.Series) -> str:
    return "–" if math.isnan(row["low"]) else f"{row['low']:+.1f} to {row['high']:+.1f}"
