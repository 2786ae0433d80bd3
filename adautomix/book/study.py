"""What the front page says of the published study and of the authors' logs."""

import math
from pathlib import Path

import pandas as pd

from adautomix.methods import METHODS
from adautomix.results import equal_steps, gains, gains_by_seed, log_scores, main_regime, other_precisions
from adautomix.results.statistics import FEWEST_SEEDS
from adautomix.utils.paths import shipped

FEWER = "**With {per_class} images a class**, {epochs} epochs, that is as many steps, {precision}"
STUDY = Path("outputs/reference/small_data")
"""The workbook's published study: scores.csv, and a figure of it."""


def logged() -> dict[str, str]:
    """Return what the authors' 200 epochs of CIFAR-100, ResNet-18 gave, by the paper's rule, in percent."""
    median = log_scores().query("column == 'cifar100_resnet18' and epochs == 200 and rule == 'median'")
    top1 = median.pivot(index="method", columns="role", values="top1")
    plain = top1.loc[top1["teacher"].isna(), "student"]
    numbers = {"teacher": top1.at["adautomix", "teacher"], "student": top1.at["adautomix", "student"]}
    numbers |= {"plain": plain.max(), "automix": top1.at["automix", "teacher"]}
    best = METHODS[plain.idxmax()].__name__
    return {name: f"{number:.1f}" for name, number in numbers.items()} | {"plain_method": best}


def study_table() -> str:
    """Return tables of the published study's main regime and of what stands beside it; empty if it is not there."""
    path = shipped(STUDY / "scores.csv")
    if not path.exists():
        return ""
    whole = pd.read_csv(path)
    values = main_regime(whole)
    row = values.iloc[0]
    regime = f"{row['data']}, {row['per_class']} images a class, {row['epochs']} epochs"
    told = (
        f"**Our own study**, {regime}, {row['precision']}: top-1 in % (median of the last ten epochs, mean over seeds)"
    )
    told += (
        "; gains in points over no mixing with the same seed and precision. Compare methods within a seed and a"
        f" table; an interval needs {FEWEST_SEEDS} seeds."
    )
    more = [("The same in {precision}", part) for part in other_precisions(whole, values)]
    more += [(FEWER, part) for part in equal_steps(whole, values)]
    others = (f"{words.format(**part.iloc[0])}:\n\n{_table(part)}" for words, part in more)
    return "\n\n".join([told, _table(values), *others])


def _table(values: pd.DataFrame) -> str:
    """Return the scores of one regime: gains seed by seed where there are several, intervals where there are some."""
    median = values[values["rule"] == "median"]
    wide = median.pivot_table(index="method", columns="role", values="top1").round(1)
    wide.insert(0, "seeds", median.groupby("method")["seed"].nunique())
    tested, gain = gains(values).set_index("method"), "gain of the student"
    if median["seed"].nunique() > 1:
        each = gains_by_seed(values).sort_values("seed").groupby("method")["difference"]
        wide[f"{gain}, seed by seed"] = each.agg(lambda part: ", ".join(map("{:+.1f}".format, part)))
        gain = "mean gain"
    wide[gain] = tested["difference"].map("{:+.1f}".format)
    if tested["low"].notna().any():
        wide["95 % interval"] = tested.apply(_interval, axis=1)
    rows = wide.loc[[name for name in METHODS if name in wide.index]].reset_index().rename_axis(columns=None).fillna("")
    return f"<div class='results'>\n{rows.to_html(index=False, border=0)}\n</div>"


def _interval(row: pd.Series) -> str:
    return "–" if math.isnan(row["low"]) else f"{row['low']:+.1f} to {row['high']:+.1f}"
