"""Which runs may be compared: the one place that says so. Reads files only, needs no torch.

Runs that agree in every setting are seeds of one thing, and are averaged. Runs that agree in all but some settings are
compared: as methods (apart from METHOD), as values of AdAutoMix's factors (apart from FACTORS), as methods in one
column of the paper's tables (apart from RECIPE).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from adautomix.config import TrainConfig
from adautomix.recipes import FREE
from adautomix.runs.identity import UNHASHED, counted, flat
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError

METHOD = ("method", "options", "optim", "ema", "tap")
"""A method's own settings: it may need another optimiser, teacher or tap than the next."""
FACTORS = ("method", "options", "optim.generator", "ema")
"""What an ablation of AdAutoMix changes; the student's optimiser is the same for all."""
RECIPE = tuple(name for name in TrainConfig.__dataclass_fields__ if name not in (*FREE, "epochs"))
"""What a recipe fixes: left are the epochs, what `recipes.FREE` names, the images and the numerics."""


def each_once(runs: Iterable[Run]) -> list[Run]:
    """Return the runs without those found twice.

    Raises: UserError for two runs of one name that are not the same: copies whose folders were named by hand.
    """
    found: dict[str, Run] = {}
    for run in runs:
        other = found.setdefault(run.id, run)
        if other is not run and _identity(other) != _identity(run):
            raise UserError(f"two different runs are called {run.id}: {other.path} and {run.path}; rename a folder")
    return list(found.values())


def _identity(run: Run) -> str:
    return json.dumps([run.info["config"], run.info["dataset"]["fingerprint"]], sort_keys=True)


def settings(run: Run, *, apart: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what must be equal for runs to be compared, nested settings under dotted names (`optim.student.lr`).

    That is the config without seed and place, the data set's label and fingerprint, and the version of the numerics.

    Args:
        apart: settings left out with all below them: METHOD, FACTORS or RECIPE.
    """
    dataset = run.info["dataset"]
    config = asdict(run.config)
    config["options"] = counted(config["options"])
    config["optim"] = {name: _own(name, one, config["optim"]["student"]) for name, one in config["optim"].items()}
    values = flat(config) | {"data": dataset["label"], "fingerprint": dataset["fingerprint"]}
    values |= {"numerics": run.info.get("numerics_version")}
    left_out = tuple(f"{name}." for name in ("seed", *UNHASHED, *apart))
    return {name: value for name, value in values.items() if not f"{name}.".startswith(left_out)}


def _own(name: str, optim: dict[str, Any], student: dict[str, Any]) -> dict[str, Any]:
    """Return an optimiser's settings; of a generator's those in which it differs from the student's, its default."""
    return {key: value for key, value in optim.items() if name == "student" or value != student[key]}


def group_key(run: Run, *, apart: tuple[str, ...] = ()) -> str:
    """Return the settings as one text: equal for runs that may be compared, apart from those left out."""
    return json.dumps(settings(run, apart=apart), sort_keys=True)


def comparable_key(run: Run) -> str:
    """Return 8 hex digits, equal for runs that may be compared as methods."""
    return _digits(group_key(run, apart=METHOD))


def setting_key(run: Run) -> str:
    """Return 8 hex digits, equal for runs that agree in the settings of their method: those that METHOD names."""
    others = settings(run, apart=METHOD)
    own = {name: value for name, value in settings(run).items() if name not in others}
    return _digits(json.dumps(own, sort_keys=True))


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
