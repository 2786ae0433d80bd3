"""The evidence: the authors' logs, our curves on theirs, and when mixing paid in our own study."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.figures.curves import epoch_axis
from adautomix.figures.style import BESIDE, ROLE_COLORS, by_method, label_colors, panels


def curves_and_rates(runs: Mapping[str, pd.DataFrame], *, one_scale: bool = False) -> Figure:
    """Draw student's and teacher's accuracy of several runs, a panel each, with the learning rate dotted behind them.

    Args:
        runs: by title, frames with epoch, student_top1, teacher_top1 (percent) and lr.
        one_scale: every panel has the same accuracies at its sides: for runs that are to be compared.
    """
    figure, axes = panels(len(runs), 2, (5.0, 3.2))
    for axis, (title, run) in zip(axes.flat, runs.items(), strict=False):
        for role, color in ROLE_COLORS.items():
            top1 = run.set_index("epoch")[f"{role}_top1"].dropna()
            style = "-" if len(top1) == len(run) else ".-"  # dots say which epochs were evaluated
            axis.plot(top1.index, top1, style, color=color, lw=1, ms=4, label=role)
        rate = axis.twinx()
        rate.plot(run["epoch"], run["lr"] / run["lr"].max(), ":", color="0.4")
        rate.set(ylim=(0, 1.05), ylabel="learning rate / its peak")
        rate.grid(visible=False)
        axis.plot([], [], ":", color="0.4", label="learning rate")  # its line in the legend
        epoch_axis(axis, title=title, ylabel="top-1 on test images (%)")
    drawn = list(axes.flat)[: len(runs)]
    if one_scale and drawn:
        lows, highs = zip(*(axis.get_ylim() for axis in drawn), strict=True)
        for axis in drawn:
            axis.set_ylim(min(lows), max(highs))
    axes[0, 0].legend(loc="lower right", fontsize=8)
    return figure


def ours_and_theirs(curves: pd.DataFrame) -> Figure:
    """Draw runs of ours over the authors' logs, one panel per run: ours solid, theirs dashed, one colour per role.

    Args:
        curves: what `results.beside_log` returns.
    """
    names = list(dict.fromkeys(curves["run"]))
    figure, axes = panels(len(names), 2, (5.0, 3.2))
    for axis, name in zip(axes.flat, names, strict=False):
        part = curves[curves["run"] == name]
        for (role, source), curve in part.groupby(["role", "source"], sort=False):
            style = "-" if source == "ours" else "--"
            axis.plot(curve["epoch"], curve["top1"], style, color=ROLE_COLORS[role], label=f"{role}, {source}")
        first = part.iloc[0]
        title = f"{name}\n{first['epochs']} epochs; the log: {first['epochs_of_log']}"
        epoch_axis(axis, ylabel="top-1 on test images (%)")
        axis.set_title(title, fontsize=9)
    axes[0, 0].legend(fontsize=8)
    return figure


def replayed_windows(rows: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw a replay of the authors' first iterations over their log, one panel per value; the band is its tolerance.

    Args:
        rows: columns iteration, value, theirs, ours and bar, as benchmarks/log_replay.py writes them.
        names: values to draw, with the name and unit for the axis.
    """
    figure, axes = panels(len(names), 3, (3.2, 2.8))
    for axis, (value, name) in zip(axes.flat, names.items(), strict=False):
        part = rows[rows["value"] == value]
        low, high = part["theirs"] - part["bar"], part["theirs"] + part["bar"]
        axis.fill_between(part["iteration"], low, high, color="0.9", label="tolerance")
        axis.plot(part["iteration"], part["theirs"], "--x", color="0.3", label="the authors' log")
        axis.plot(part["iteration"], part["ours"], "-o", color=ROLE_COLORS["student"], label="ours")
        axis.set(xlabel="iteration, end of the window", ylabel=name)
    axes[0, 0].legend(fontsize=8)
    return figure


def gain_curves(gains: pd.DataFrame, x: str, name: str, each: pd.DataFrame) -> Figure:
    """Draw gains over no mixing against one property of the regimes, on a doubling scale.

    Markers are means over all seeds, bars their 95 % intervals, pale dots single seeds. A line joins means over the
    seeds that a method has in all of its regimes of one precision: what changes along it is neither the choice of seeds
    nor the rounding. Of two precisions the first by name is drawn full, in every figure; the other hollow and dashed.

    Args:
        gains: what `results.gains` returns, of regimes that differ in one property, and in precision.
        x: that property's column, epochs or per_class.
        name: its name and unit for the axis.
        each: what `results.gains_by_seed` returns of the same regimes.
    """
    gains = by_method(gains)
    colors = label_colors(gains)
    precisions = sorted(gains["precision"].unique())
    figure, axes = panels(1, 1, (7.4, 3.6))
    axis = axes[0, 0]
    axis.axhline(0, color="0.3", linewidth=1)
    middle = (gains["label"].nunique() - 1) / 2
    for number, (label, whole) in enumerate(gains.groupby("label", sort=False)):
        color, shift = colors[label], 1.03 ** (number - middle)  # side by side, so that nothing hides another
        axis.plot([], [], "o", color=color, label=label)
        for precision, part in whole.groupby("precision", sort=False):
            seeds = each[(each["label"] == label) & (each["precision"] == precision)]
            _gain_line(
                axis,
                part.assign(at=part[x] * shift),
                seeds.assign(at=seeds[x] * shift),
                color,
                precision == precisions[0],
            )
    for precision, (fill, line) in zip(
        precisions if len(precisions) > 1 else (), (("full", "-"), ("none", "--")), strict=False
    ):
        axis.plot([], [], line + "o", fillstyle=fill, color="0.4", label=precision)
    axis.set_xscale("log", base=2)
    ticks = sorted(gains[x].unique())
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xlim(ticks[0] / 1.25, ticks[-1] * 1.25)
    axis.set(xlabel=name, ylabel="gain over no mixing (points)")
    axis.legend(**BESIDE)
    return figure


def _gain_line(axis: Axes, part: pd.DataFrame, seeds: pd.DataFrame, color: object, full: bool) -> None:
    """Draw one method in one precision; `at` is where on the axis."""
    bars = None
    if part["low"].notna().any():
        bars = [(part["difference"] - part["low"]).fillna(0), (part["high"] - part["difference"]).fillna(0)]
    fill = "full" if full else "none"
    axis.errorbar(part["at"], part["difference"], yerr=bars, fmt="o", fillstyle=fill, color=color, capsize=3)
    axis.plot(seeds["at"], seeds["difference"], ".", ms=9, fillstyle=fill, color=color, alpha=0.6, zorder=1)
    regimes = seeds.groupby("seed")["at"].transform("nunique")
    joined = seeds[regimes == part["at"].nunique()].groupby("at")["difference"].mean()
    axis.plot(joined.index, joined, "-" if full else "--", color=color, linewidth=1.2, alpha=0.7, zorder=1)
