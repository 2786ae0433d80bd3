"""Which runs of AdAutoMix are compared: those of one setting, by the one factor in which each differs from the base.

The base is AdAutoMix with default options, the default teacher, and a generator trained like the student. A value that
is spelled out but is the default's is no difference. Loads torch only to ask the method for its defaults.
"""

from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from typing import Any

from adautomix.config import EmaConfig
from adautomix.results.comparable import FACTORS, each_once, group_key, settings
from adautomix.runs.run import ROLES, Run

BASE = ("base", "defaults")
"""Factor and value of the base; None for the value would become NaN in some tables and make 2 images 2.0."""


@cache
def default_options() -> dict[str, Any]:
    """Return AdAutoMix's options at their defaults."""
    from adautomix.methods import resolve_options

    return resolve_options("adautomix", {})


def factors_of(run: Run) -> dict[str, tuple[Any, Any]]:
    """Return every setting that may be varied: its value, and the base's."""
    config = run.config
    pairs = {name: (config.options.get(name, base), base) for name, base in default_options().items()}
    pairs |= {f"ema_{k}": (v, getattr(EmaConfig(), k)) for k, v in asdict(config.ema).items()}
    student = asdict(config.optim["student"])
    return pairs | {f"generator_{k}": (v, student[k]) for k, v in asdict(config.optim_for("generator")).items()}


def changed(run: Run) -> dict[str, Any]:
    """Return the factors in which a run differs from the base, and its values of them."""
    return {name: value for name, (value, base) in factors_of(run).items() if value != base}


def by_factor(runs: Iterable[Run]) -> dict[tuple[str, Any], list[Run]]:
    """Return the runs by factor and value, those that differ in at most one; the base is BASE."""
    groups: dict[tuple[str, Any], list[Run]] = {}
    for run in runs:
        differences = list(changed(run).items()) or [BASE]
        if len(differences) == 1:
            groups.setdefault(differences[0], []).append(run)
    return groups


def by_setting(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the evaluated runs of AdAutoMix by what they have in common, under a name that tells them apart."""
    groups: dict[str, list[Run]] = {}
    for run in filter(_evaluated, _of_adautomix(runs)):
        groups.setdefault(group_key(run, apart=FACTORS), []).append(run)
    common = [settings(members[0], apart=FACTORS) for members in groups.values()]
    names, told = list(map(_name, common)), {}
    for name, own, members in zip(names, common, groups.values(), strict=True):
        rivals = [other for rival, other in zip(names, common, strict=True) if rival == name]
        tells = [f"{k.rpartition('.')[2]} {v}" for k, v in own.items() if any(other[k] != v for other in rivals)]
        told[", ".join([name, *tells])] = members
    return told


def left_out(runs: Iterable[Run]) -> dict[str, str]:
    """Return why runs of AdAutoMix are compared with nothing, by run id: not evaluated, no base, or two factors."""
    runs = list(runs)
    reasons = {run.id: "not evaluated" for run in _of_adautomix(runs) if not _evaluated(run)}
    for members in by_setting(runs).values():
        differences = {run.id: sorted(changed(run)) for run in members}
        for run, names in differences.items():
            if len(names) > 1:
                reasons[run] = "differs in " + " and ".join(names)
            elif [] not in differences.values():
                reasons[run] = "no base run with the same other settings"
    return reasons


def _of_adautomix(runs: Iterable[Run]) -> list[Run]:
    return [run for run in each_once(runs) if run.config.method == "adautomix" and not run.imported]


def _evaluated(run: Run) -> bool:
    return all(run.metrics("accuracy", role) for role in ROLES)


def _name(common: dict[str, Any]) -> str:
    width = f"_w{common['width']}" if common["width"] else ""
    return f"{common['data']}, {common['backbone']}{width}, {common['epochs']} epochs"
