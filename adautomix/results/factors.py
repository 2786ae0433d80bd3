"""Which runs of AdAutoMix may be compared: what they share, and the one factor in which each differs from the base.

The base is AdAutoMix with default options, the default teacher, and a generator trained like the student. What a reader
gets wrong: a value that is spelled out but is the default's is no difference. Reads files only, needs no torch.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from adautomix.config import EmaConfig
from adautomix.runs.identity import PLACE_FIELDS
from adautomix.runs.run import ROLES, Run

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
APART = ("method", "options", "ema", "seed", *PLACE_FIELDS)
BASE = ("base", "defaults")
"""Factor and value of the base; None for the value would become NaN in some tables and make 2 images 2.0."""


def of_adautomix(runs: Iterable[Run]) -> list[Run]:
    """Return the runs of AdAutoMix, each once."""
    return [run for run in {run.id: run for run in runs}.values() if run.config.method == "adautomix"]


def evaluated(run: Run) -> bool:
    """Return whether the accuracy of both student and teacher was measured."""
    return all(run.metrics("accuracy", role) for role in ROLES)


def factors_of(run: Run) -> dict[str, tuple[Any, Any]]:
    """Return every setting that may be varied: its value, and the base's."""
    config = run.config
    pairs = {name: (config.options.get(name, base), base) for name, base in OPTIONS.items()}
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
    found: dict[str, tuple[dict[str, Any], list[Run]]] = {}
    for run in filter(evaluated, of_adautomix(runs)):
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
