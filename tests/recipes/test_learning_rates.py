"""Learning rates: do the recipes have those of the authors' logs, epoch by epoch?"""

import pytest

from adautomix.paper import epochs_of, logs
from adautomix.recipes import RECIPES
from adautomix.training.optim import lr_at

STEPS = 500
"""An epoch's, of CIFAR-100 in batches of 100; of the others the rate changes between epochs only."""
ROUNDING = 6e-6
"""The logs have five decimals."""
OTHERWISE = {"cars_resnet18_automix_200e": 141}
"""Epochs after which a log leaves its own schedule: here the rate stands still for a while, and then catches up."""
OF_RECIPES = [row for row in logs().itertuples() if f"{row.column}/{row.method}" in RECIPES]


@pytest.mark.parametrize("row", OF_RECIPES, ids=lambda row: row.log)
def test_a_recipes_learning_rate_is_that_of_its_log(row):
    student = RECIPES[f"{row.column}/{row.method}"].config().optim["student"]
    logged = epochs_of(row.log).set_index("epoch")["lr"].loc[: OTHERWISE.get(row.log)]
    ours = [lr_at(student, epoch * STEPS - 1, STEPS, row.epochs) for epoch in logged.index]
    assert ours == pytest.approx(logged.tolist(), abs=ROUNDING)


def test_most_logs_are_of_a_recipe_and_some_have_a_warm_up():
    assert len(OF_RECIPES) == 45
    assert {row.column for row in OF_RECIPES if epochs_of(row.log)["lr"].iloc[0] < 1e-4} == {"cifar100_swin_t"}
