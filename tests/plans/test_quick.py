"""The plans that come with the workbook are valid, and `quick` runs everything there is."""

import pytest
from helpers import ROOT

from adautomix import METHODS
from adautomix.evaluate import EVALUATORS
from adautomix.plans.tasks import load_plan

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLANS = sorted((ROOT / "notebooks" / "plans").glob("*.yaml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)
def test_every_plan_is_valid(path):
    plan = load_plan(path)
    assert plan.description
    assert len(plan.tasks) >= len(plan.steps)


def test_quick_is_small_real_and_repeated():
    plan = load_plan("quick")
    train = [t for t in plan.tasks.values() if t.notebook.stem == "10_train"]
    digits = [t.parameters for t in train]
    assert {p["method"] for p in digits} == set(METHODS)
    assert {p["seed"] for p in digits if "seed" in p} >= {0, 1}
    assert {p["data"] for p in digits} == {"digits"}


def test_quick_runs_every_notebook_both_objectives_and_a_second_seed_without_and_with_mixing():
    plan = load_plan("quick")
    assert {t.notebook for t in plan.tasks.values()} == set(NOTEBOOKS)
    needed = {f"objectives.options=objective-{name}.seed=0" for name in ("released", "paper")}
    needed |= {f"again.method={name}.seed=1" for name in ("vanilla", "mixup")}
    assert needed <= set(plan.tasks)
    assert needed <= set(plan.tasks["evaluate"].needs)


@pytest.mark.parametrize(("seeds", "picked"), [(1, 1), ([1, 2], 1), ([1, 0], 0)])
def test_quick_with_other_seeds_evaluates_one_of_them(seeds, picked):
    plan = load_plan("quick", settings={"seed": seeds})
    listed = seeds if isinstance(seeds, list) else [seeds]
    assert {t.parameters["seed"] for t in plan.tasks.values() if t.step == "train"} == set(listed)
    assert plan.tasks["robustness"].parameters["seed"] == picked


def test_quick_with_one_method_still_compares_the_objectives_of_adautomix():
    plan = load_plan("quick", settings={"method": "mixup"})
    assert {t.parameters["method"] for t in plan.tasks.values() if t.step == "objectives"} == {"adautomix"}


def test_quick_runs_every_evaluator_on_one_seed_of_every_method_and_on_a_transformer():
    plan = load_plan("quick")
    used = {name for step in ("evaluate", "robustness") for name in plan.tasks[step].parameters.get("evaluators", [])}
    assert used == set(EVALUATORS)
    for step in ("evaluate", "robustness"):
        trained = [plan.tasks[need].parameters for need in plan.tasks[step].needs]
        assert {p["method"] for p in trained if p.get("seed", 0) == 0 and p["data"] == "digits"} == set(METHODS)
        assert {p.get("backbone", "resnet18") for p in trained} == {"resnet18", "test_vit"}
