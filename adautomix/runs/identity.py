"""Which config is which run.

Two configs that are equal are the same run and share a folder: `run_hash` is taken over every field that can change
a number, plus `NUMERICS_VERSION`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from adautomix.config import TrainConfig

NUMERICS_VERSION = 5
"""Raised by hand when the same config would give other numbers; editing a docstring must not retrain anything."""
UNHASHED = ("root", "allow_missing_classes", "device", "workers", "eval_every", "cuda_graphs")
"""Where and how a run happens and how often one looks, not what it computes: left out of its hash. What the data are,
the fingerprint says."""

LATER_OPTIONS = {"switch_off": 0.0}
"""Options that methods got after runs had been trained without: at this, their default, they do not count."""


def run_hash(config: TrainConfig, fingerprint: str) -> str:
    """Return the 8 hex digits that identify a run: config, data and NUMERICS_VERSION.

    Only what differs from the defaults counts, so that a new field of TrainConfig does not make every old run another
    one. A new field of OptimConfig would, of runs whose generator has an optimiser of its own: that counts whole.
    Of a method's options all count but LATER_OPTIONS. Who changes a default raises NUMERICS_VERSION.
    """
    values = _differing(asdict(config), asdict(TrainConfig()))
    values = {k: v for k, v in values.items() if k not in UNHASHED}
    if "options" in values:
        values["options"] = counted(values["options"])
    text = json.dumps([NUMERICS_VERSION, fingerprint, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def counted(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that tell runs apart: all but LATER_OPTIONS at their default."""
    return {name: value for name, value in options.items() if name not in LATER_OPTIONS or LATER_OPTIONS[name] != value}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under dotted names (`optim.student.lr`), lists as tuples."""
    found = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = tuple(value) if isinstance(value, list) else value
    return found


def _differing(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that are not the default, nested mappings likewise."""
    kept = {}
    for key, value in values.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict) and value != default:
            kept[key] = _differing(value, default)
        elif value != default:
            kept[key] = value
    return kept
