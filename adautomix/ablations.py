"""What each setting of AdAutoMix does: runs that differ from the base in one setting. Reads files only, needs no torch.

The base is AdAutoMix with default options, the default teacher, and a generator trained like the student. What a reader
gets wrong: every difference is to the same few base runs, so luck in one of those shifts all of them the same way.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from adautomix.config import PLACE_FIELDS, EmaConfig
from adautomix.errors import UserError
from adautomix.evaluate.statistics import FEWEST_SEEDS, holm, paired_t
from adautomix.run import ROLES, Run

OPTIONS = {
    "objective": "released",
    "alpha": 1.0,
    "beta": 0.3,
    "n_mix": 3,
    "lam_channel": False,
    "alpha_loss": 0.5,
    "random_n": False,
    "margin": 0.03,
    "adversarial_interval": 2,
    "mode": "bilinear",
    "reduction": 2,
    "activation": "relu",
    "norm": "none",
}
"""AdAutoMix's options at their defaults, repeated here because the class itself needs torch; a test compares them."""
FACTORS = ("objective", "alpha", "beta", "n_mix", "lam_channel", "alpha_loss", "ema_base", "generator_lr")
"""What the plan `ablations` changes, one step each; any other option, `ema_...` or `generator_...` counts as well."""
APART = ("method", "options", "ema", "seed", *PLACE_FIELDS)
KEYS = ["setting", "factor", "value"]
BASE = ("base", "defaults")
"""Factor and value of the base; None for the value would become NaN in some tables and make 2 images 2.0."""


def ablation_table(runs: Iterable[Run]) -> pd.DataFrame:
    """Return top-1 accuracy for every value of every factor, a row a value and role; a setting's base comes first.

    Columns: setting (data, backbone, epochs), factor ("base" for the base), value, base_value (of that factor), role;
    n, mean and sd (%, over seeds; no sd of one); pairs (seeds shared with the base); difference to the base over those
    (points), low, high and p of its 95 % paired t interval (missing for fewer than three pairs); mask_entropy (nats)
    and mask_area_gap at the last epoch, and mask_share, the entropy's part of log N: 1 is mixing in equal parts.

    Raises: UserError if no setting has an evaluated base run.
    """
    rows, settings = [], _settings(runs)
    for setting, members in settings.items():
        groups = _groups(members)
        base = groups.get(BASE, [])
        for (factor, value), group in sorted(groups.items(), key=_order) if base else ():
            head = {"setting": setting, "factor": factor, "value": value}
            head["base_value"] = value if factor == "base" else _factors(base[0])[factor][1]
            rows += [head | {"role": role} | _compared(group, base, role) | _masks(group) for role in ROLES]
    if not rows:
        raise UserError(
            f"none of {sum(map(len, settings.values()))} evaluated runs of adautomix has default options, the base of "
            "every comparison: run 10_train with method adautomix and no options, then 20_evaluate"
        )
    return pd.DataFrame(rows)


def left_out(runs: Iterable[Run]) -> dict[str, str]:
    """Return why runs of AdAutoMix are not in the table, by run id: not evaluated, no base, or two factors changed."""
    reasons = {run.id: "not evaluated" for run in _adautomix(runs) if not _evaluated(run)}
    for members in _settings(runs).values():
        based = any(not _changed(run) for run in members)
        for run in members:
            if len(_changed(run)) > 1:
                reasons[run.id] = "differs in " + " and ".join(_changed(run))
            elif not based:
                reasons[run.id] = "no base run with the same other settings"
    return reasons


def comparison_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many intervals a table shows, a row a setting and role, and how many of them leave out 0.

    Columns: setting, role, intervals, leave_out_0, by_chance (expected of so many if nothing had any effect: 5 %) and
    after_holm (how many still do when held against the number of comparisons).
    """
    rows = []
    for (setting, role), part in table[table["factor"] != "base"].groupby(["setting", "role"], sort=False):
        p = part["p"].dropna()
        adjusted = holm(p.to_numpy()) if len(p) else []
        counts = {"intervals": len(p), "leave_out_0": int((p < 0.05).sum()), "by_chance": 0.05 * len(p)}
        rows.append({"setting": setting, "role": role} | counts | {"after_holm": sum(q < 0.05 for q in adjusted)})
    return pd.DataFrame(rows, columns=["setting", "role", "intervals", "leave_out_0", "by_chance", "after_holm"])


def wide_ablations(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table for reading: a row a value, "mean ± sd" and "difference [low, high]" in a column each a role."""
    wide = table[[*KEYS, "n", "mask_share"]].drop_duplicates(KEYS).rename(columns={"n": "seeds"})
    for role in ROLES:
        part = table[table["role"] == role]
        texts = pd.DataFrame({role: map(_mean_text, part["mean"], part["sd"])}, index=part.index)
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
    config = _settings(runs)[setting][0].config
    here = asdict(config) | asdict(config.optim["student"])
    texts = {name: here[name] if isinstance(here[name], str) else json.dumps(here[name]) for name in shared}
    sets = [f"--set {name}={texts[name]}" for name, value in shared.items() if here[name] != value]
    name = f"ablations_{config.data}"
    lines = [f"adautomix run ablations --name {name}", " ".join(sets), " ".join(["--only base", *factors])]
    return " \\\n    ".join(filter(None, lines)) + f"\nadautomix evaluate outputs/{name}"


def _adautomix(runs: Iterable[Run]) -> list[Run]:
    return [run for run in {run.id: run for run in runs}.values() if run.config.method == "adautomix"]


def _evaluated(run: Run) -> bool:
    return all(run.metrics("accuracy", role) for role in ROLES)


def _settings(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the evaluated runs of AdAutoMix by what they have in common, under a name that tells them apart."""
    found: dict[str, tuple[dict[str, Any], list[Run]]] = {}
    for run in filter(_evaluated, _adautomix(runs)):
        common = _common(run)
        found.setdefault(json.dumps(common, sort_keys=True), (common, []))[1].append(run)
    names = [_name(common) for common, _ in found.values()]
    told = {}
    for name, (common, members) in zip(names, found.values(), strict=True):
        rivals = [other for rival, (other, _) in zip(names, found.values(), strict=True) if rival == name]
        own = [f"{k} {v}" for k, v in common.items() if any(other[k] != v for other in rivals)]
        told[", ".join([name, *own])] = members
    return told


def _common(run: Run) -> dict[str, Any]:
    """Return everything that no factor names: what the runs of one comparison share."""
    config = asdict(run.config)
    images = {"data": run.info["dataset"]["label"], "fingerprint": run.info["dataset"]["fingerprint"]}
    rest = {k: v for k, v in config.items() if k not in (*APART, "optim")}
    return rest | images | config["optim"]["student"] | {"numerics": run.info.get("numerics_version")}


def _name(common: Mapping[str, Any]) -> str:
    width = f"_w{common['width']}" if common["width"] else ""
    return f"{common['data']}, {common['backbone']}{width}, {common['epochs']} epochs"


def _factors(run: Run) -> dict[str, tuple[Any, Any]]:
    """Return every setting that may be varied: its value, and the base's."""
    config = run.config
    pairs = {name: (config.options.get(name, base), base) for name, base in OPTIONS.items()}
    pairs |= {f"ema_{k}": (v, getattr(EmaConfig(), k)) for k, v in asdict(config.ema).items()}
    student = asdict(config.optim["student"])
    return pairs | {f"generator_{k}": (v, student[k]) for k, v in asdict(config.optim_for("generator")).items()}


def _changed(run: Run) -> dict[str, Any]:
    return {name: value for name, (value, base) in _factors(run).items() if value != base}


def _groups(members: list[Run]) -> dict[tuple[str, Any], list[Run]]:
    """Return the runs by factor and value, those that differ in at most one; the base is BASE."""
    groups: dict[tuple[str, Any], list[Run]] = {}
    for run in members:
        changed = list(_changed(run).items()) or [BASE]
        if len(changed) == 1:
            groups.setdefault(changed[0], []).append(run)
    return groups


def _order(item: tuple[tuple[str, Any], Any]) -> tuple:
    (factor, value), _ = item
    known = ("base", *FACTORS)
    return known.index(factor) if factor in known else len(known), factor, value


def _compared(group: list[Run], base: list[Run], role: str) -> dict[str, Any]:
    ours, theirs = (pd.Series({r.config.seed: _top1(r, role) for r in runs}) for runs in (group, base))
    stats = {"n": len(ours), "mean": ours.mean(), "sd": ours.std()}
    pairs = pd.concat([ours, theirs], axis=1, join="inner")
    empty = {"pairs": len(pairs), "difference": math.nan, "low": math.nan, "high": math.nan, "p": math.nan}
    if group is base or pairs.empty:
        return stats | empty
    if len(pairs) < FEWEST_SEEDS:
        return stats | empty | {"difference": (pairs[0] - pairs[1]).mean()}
    result = paired_t(pairs[0].to_numpy(), pairs[1].to_numpy())
    return stats | {k: v for k, v in asdict(result).items() if k != "n"} | {"pairs": result.n}


def _top1(run: Run, role: str) -> float:
    return run.metrics("accuracy", role)["value"]["top1"]


def _masks(group: list[Run]) -> dict[str, float]:
    last = pd.DataFrame([run.history.iloc[-1] for run in group])
    entropy, gap = (last[c].mean() if c in last else math.nan for c in ("mask_entropy", "mask_area_gap"))
    options = group[0].config.options
    most = math.nan if options.get("random_n") else math.log(options.get("n_mix", OPTIONS["n_mix"]))
    return {"mask_entropy": entropy, "mask_share": entropy / most, "mask_area_gap": gap}


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _mean_text(mean: float, sd: float) -> str:
    return f"{mean:.2f}" if math.isnan(sd) else f"{mean:.2f} ± {sd:.2f}"


def _interval_text(difference: float, low: float, high: float) -> str:
    if math.isnan(difference):
        return "–"
    return f"{difference:+.2f}" + ("" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")
