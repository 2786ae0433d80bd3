"""What `--set` replaces of a plan: a step's grid, what a step picks of a grid, or a parameter that all steps share."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from adautomix.plans.plan import Step
from adautomix.utils.errors import UserError


def regrid(step: Step, settings: Mapping[str, Any], shared: Collection[str], gridded: Collection[str]) -> Step:
    """Return the step with the settings that name its grid put in their place, or its own parameters.

    Args:
        shared, gridded: names of the plan's parameters and of any step's grid: where a step says otherwise it means it.
    """
    values = {k: v if isinstance(v, list) else [v] for k, v in settings.items()}
    grid = {k: values.get(k, v) for k, v in step.grid.items()}
    if empty := [name for name, listed in grid.items() if not listed]:
        raise UserError(f"{empty[0]} must be set to a value or a list of values, got []")
    parameters = {}
    for name, own in step.parameters.items():
        if name in gridded and not step.training:  # it picks one of what was trained
            new = values.get(name, [own])
            parameters[name] = own if own in new else new[0]
        else:
            parameters[name] = own if name in {*shared, *gridded} else settings.get(name, own)
    return replace(step, grid=grid, parameters=parameters)


def of_all(settings: Mapping[str, Any], shared: Collection[str], gridded: Collection[str]) -> dict[str, Any]:
    """Return the settings that are every step's: those that name no grid, or also a parameter of the plan.

    Raises: UserError for a list that would be both.
    """
    both = [name for name in settings if name in shared and name in gridded]
    if listed := [name for name in both if isinstance(settings[name], list)]:
        raise UserError(
            f"{listed[0]} is a grid of some steps and a parameter of the others: set it to one value, "
            f"got {settings[listed[0]]}"
        )
    return {k: v for k, v in settings.items() if k not in gridded or k in both}
