"""What each setting of AdAutoMix does: runs that differ from the base (`factors`) in one setting.

Every difference is to the same few base runs: luck in one of those shifts all of them the same way.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from adautomix.results.factors import BASE, by_factor, by_setting, default_options, factors_of
from adautomix.results.statistics import holm, paired_t, seed_sd
from adautomix.results.tables import mean_sd
from adautomix.runs.run import ROLES, Run
from adautomix.utils.errors import UserError

FACTORS = ("objective", "alpha", "beta", "n_mix", "lam_channel", "alpha_loss", "ema_base", "generator_lr")
"""What the plan `ablations` changes, one step each; any other option, `ema_...` or `generator_...` counts as well."""
KEYS = ["setting", "factor", "value"]


def ablation_table(runs: Iterable[Run]) -> pd.DataFrame:
    """Return top-1 accuracy for every value of every factor, one row per value and role; a setting's base comes first.

    Columns: setting (data, backbone, epochs), factor ("base" for the base), value, base_value (of that factor), role;
    n, mean and sd (%, over seeds; no sd of fewer than three); pairs (seeds shared with the base); difference to the
    base over those (points), low, high and p of its 95 % paired t interval (missing for fewer than three pairs);
    mask_entropy (nats) and mask_area_gap at the last epoch, and mask_share, the entropy's part of log N: 1 is mixing in
    equal parts.

    Raises: UserError if no setting has an evaluated base run.
    """
    rows, settings = [], by_setting(runs)
    for setting, members in settings.items():
        groups = by_factor(members)
        base = groups.get(BASE, [])
        for (factor, value), group in sorted(groups.items(), key=_order) if base else ():
            head = {"setting": setting, "factor": factor, "value": value}
            head["base_value"] = value if factor == "base" else factors_of(base[0])[factor][1]
            rows += [head | {"role": role} | _compared(group, base, role) | _masks(group) for role in ROLES]
    if not rows:
        raise UserError(
            f"none of {sum(map(len, settings.values()))} evaluated runs of adautomix has default options, the base of "
            "every comparison: run 10_train with method adautomix and no options, then 20_evaluate"
        )
    return pd.DataFrame(rows)


def comparison_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many intervals a table shows, one row per setting and role, and how many of them leave out 0.

    Columns: setting, role, intervals, leave_out_0, by_chance (expected of so many if nothing had any effect: 5 %) and
    after_holm (how many still do when held against the number of comparisons).
    """
    rows = []
    for (setting, role), part in table[table["factor"] != "base"].groupby(["setting", "role"], sort=False):
        p = part["p"].dropna()
        counts = {"intervals": len(p), "leave_out_0": (p < 0.05).sum(), "by_chance": 0.05 * len(p)}
        rows.append({"setting": setting, "role": role} | counts | {"after_holm": (holm(p) < 0.05).sum()})
    return pd.DataFrame(rows, columns=["setting", "role", "intervals", "leave_out_0", "by_chance", "after_holm"])


def wide_ablations(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table for reading: a row per value, "mean ± sd" and "difference [low, high]" of each role."""
    wide = table[[*KEYS, "n", "mask_share"]].drop_duplicates(KEYS).rename(columns={"n": "seeds"})
    for role in ROLES:
        part = table[table["role"] == role]
        texts = pd.DataFrame({role: map(mean_sd, part["mean"], part["sd"])}, index=part.index)
        texts[f"{role} − base"] = list(map(_interval_text, part["difference"], part["low"], part["high"]))
        wide = wide.merge(part[KEYS].join(texts), on=KEYS, how="left")
    wide["value"] = list(map(_value_text, wide["value"]))
    return wide[[column for column in wide if column != "mask_share"] + ["mask_share"]]


def not_run(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return, by setting, the factors of the plan `ablations` that have no run there."""
    return {
        setting: [factor for factor in FACTORS if factor not in set(part["factor"])]
        for setting, part in table.groupby("setting", sort=False)
    }


def plan_commands(runs: Iterable[Run], setting: str, factors: Iterable[str], shared: Mapping[str, Any]) -> str:
    """Return shell commands that train and evaluate factors of the plan `ablations`, and the base, in one setting.

    Args:
        shared: the plan's own parameters; those that differ here are set, settings it does not name stay the plan's.
    """
    config = by_setting(runs)[setting][0].config
    here = asdict(config) | asdict(config.optim["student"])
    texts = {name: here[name] if isinstance(here[name], str) else json.dumps(here[name]) for name in shared}
    sets = [f"--set {name}={texts[name]}" for name, value in shared.items() if here[name] != value]
    name = f"ablations_{config.data}"
    lines = [f"adautomix run ablations --name {name}", " ".join(sets), " ".join(["--only base", *factors])]
    return " \\\n    ".join(filter(None, lines)) + f"\nadautomix evaluate outputs/{name}"


def _order(item: tuple[tuple[str, Any], Any]) -> tuple:
    (factor, value), _ = item
    known = ("base", *FACTORS)
    return known.index(factor) if factor in known else len(known), factor, value


def _compared(group: list[Run], base: list[Run], role: str) -> dict[str, float]:
    ours, theirs = (
        pd.Series({run.config.seed: run.metrics("accuracy", role)["value"]["top1"] for run in runs})
        for runs in (group, base)
    )
    result = {"n": len(ours), "mean": ours.mean(), "sd": seed_sd(ours)} | paired_t(ours, theirs)
    return result | (dict.fromkeys(("difference", "low", "high", "p"), math.nan) if group is base else {})


def _masks(group: list[Run]) -> dict[str, float]:
    last = pd.DataFrame([run.history.iloc[-1] for run in group])
    entropy, gap = (last[c].mean() if c in last else math.nan for c in ("mask_entropy", "mask_area_gap"))
    options = default_options() | group[0].config.options
    most = math.nan if options["random_n"] else math.log(options["n_mix"])
    return {"mask_entropy": entropy, "mask_share": entropy / most, "mask_area_gap": gap}


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _interval_text(difference: float, low: float, high: float) -> str:
    if math.isnan(difference):
        return "–"
    return f"{difference:+.2f}" + ("" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")
