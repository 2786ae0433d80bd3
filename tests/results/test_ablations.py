"""Ablations: which runs are compared with which, over which seeds, and which are left out?"""

import math
from functools import partial

import numpy as np
import pytest
from helpers.ablated import BASE, SETTING, STUDENT, finished, row

from adautomix.config import EmaConfig, OptimConfig
from adautomix.plans.plan import find_plan, read_plan
from adautomix.results.ablations import FACTORS, ablation_table, not_run
from adautomix.results.factors import default_options, left_out
from adautomix.utils.errors import UserError


@pytest.fixture
def store(tmp_path):
    return partial(finished, tmp_path)


def test_the_factors_are_those_of_the_plan_and_options_of_the_method():
    assert set(FACTORS[:6]) <= set(default_options())
    file = read_plan(find_plan("ablations"))
    shared, steps = file.parameters, file.steps
    assert [step.name for step in steps] == ["base", *FACTORS, "evaluate", "ablations"]
    assert shared["data"] == "cifar10"
    runs = {step.name: step.grid for step in steps if step.notebook == "10_train"}
    assert all(grid["seed"] == [0, 1, 2] for grid in runs.values())
    changed = {name: {k for value in grid.get("options", []) for k in value} for name, grid in runs.items()}
    assert {name: keys for name, keys in changed.items() if keys} == {name: {name} for name in FACTORS[:6]}


def test_a_value_is_compared_with_the_base_seed_by_seed(store):
    table = ablation_table(store(BASE) + store({0: 91.0, 1: 92.5, 2: 93.0}, options={"beta": 0.1}))
    found, teacher = row(table, "beta", 0.1), row(table, "beta", 0.1, "teacher")
    assert (found["setting"], found["base_value"], found["n"], found["pairs"]) == (SETTING, 0.3, 3, 3)
    assert found["mean"] == pytest.approx(276.5 / 3)
    assert found["sd"] == pytest.approx(np.std([91.0, 92.5, 93.0], ddof=1))
    half = 4.302653 * np.std([1.0, 0.5, 2.0], ddof=1) / math.sqrt(3)  # 97.5 % of t, two degrees of freedom
    assert found["difference"] == pytest.approx(3.5 / 3)
    assert (found["low"], found["high"]) == pytest.approx((3.5 / 3 - half, 3.5 / 3 + half))
    assert 0.05 < found["p"] < 0.2
    assert teacher["mean"] == pytest.approx(found["mean"] + 1)
    assert math.isnan(row(table, "base", "defaults")["difference"])


def test_seeds_are_matched_by_number_and_fewer_than_three_give_no_interval(store):
    table = ablation_table(store(BASE) + store({2: 95.0, 7: 50.0, 1: 93.0}, options={"n_mix": 2}))
    found = row(table, "n_mix", 2)
    assert (found["n"], found["pairs"], found["difference"]) == (3, 2, pytest.approx(2.5))
    assert all(math.isnan(found[name]) for name in ("low", "high", "p"))
    alone = row(ablation_table(store(BASE) + store({7: 50.0}, options={"n_mix": 4})), "n_mix", 4)
    assert alone["pairs"] == 0
    assert math.isnan(alone["difference"])


def test_each_kind_of_factor_is_found_by_its_value(store):
    slow = {"student": STUDENT, "generator": OptimConfig(lr=0.01, warmup_epochs=1.0)}
    runs = store(BASE) + store({0: 90.0}, options={"objective": "cooperative"})
    runs += store({0: 90.0}, options={"lam_channel": True}) + store({0: 90.0}, ema=EmaConfig(base=0.9))
    runs += store({0: 90.0}, optim=slow) + store({0: 90.0}, options={"margin": 0.1})
    table = ablation_table(runs)
    assert row(table, "objective", "cooperative")["base_value"] == "released"
    assert row(table, "lam_channel", True)["base_value"] is False
    assert row(table, "ema_base", 0.9)["base_value"] == 0.999
    assert row(table, "generator_lr", 0.01)["base_value"] == 0.1
    order = ["base", "objective", "lam_channel", "ema_base", "generator_lr", "margin"]  # the plan's, then others
    assert list(dict.fromkeys(table["factor"])) == order
    assert not_run(table) == {SETTING: ["alpha", "beta", "n_mix", "alpha_loss"]}


def test_a_generator_trained_like_the_student_is_the_base_however_it_is_written(store):
    table = ablation_table(store(BASE, optim={"student": STUDENT, "generator": STUDENT}))
    assert set(table["factor"]) == {"base"}


def test_runs_that_differ_in_two_settings_or_lack_a_base_or_a_result_are_left_out_and_named(store):
    runs = store(BASE) + store({0: 90.0}, options={"beta": 0.1, "n_mix": 2})
    stray = store({0: 99.0}, options={"beta": 0.1}, epochs=9)
    bare = store({0: 1.0}, options={"alpha": 2.0})
    for role in ("student", "teacher"):
        (bare[0].path / "metrics" / f"accuracy.{role}.json").unlink()
    other = store({0: 80.0}, method="automix")
    everything = [*runs, *stray, *bare, *other, *runs]  # found twice, counted once
    assert set(ablation_table(everything)["factor"]) == {"base"}
    assert row(ablation_table(everything), "base", "defaults")["n"] == 3
    assert left_out(everything) == {
        runs[-1].id: "differs in beta and n_mix",
        stray[0].id: "no base run with the same other settings",
        bare[0].id: "not evaluated",
    }


def test_runs_are_compared_within_their_own_setting(store):
    runs = store(BASE) + store({0: 91.0}, options={"beta": 0.1})
    other = {"student": OptimConfig(lr=0.05, warmup_epochs=1.0)}
    runs += store({0: 70.0}, optim=other) + store({0: 69.0}, options={"beta": 0.1}, optim=other)
    table = ablation_table(runs)
    found = table[(table["factor"] == "beta") & (table["role"] == "student")].set_index("setting")["difference"]
    assert found.to_dict() == {f"{SETTING}, lr 0.1": 1.0, f"{SETTING}, lr 0.05": -1.0}


@pytest.mark.parametrize("variant", [[], ["beta"]])
def test_without_a_base_it_says_what_to_run(store, variant):
    runs = [run for name in variant for run in store({0: 90.0}, options={name: 0.1})]
    with pytest.raises(UserError, match=f"none of {len(runs)} evaluated runs .* run 10_train"):
        ablation_table(runs)


def test_mask_gauges_are_of_the_last_epoch_and_entropy_is_held_against_its_maximum(store):
    runs = store(BASE, entropy=math.log(3)) + store({0: 90.0}, entropy=math.log(2) / 2, options={"n_mix": 2})
    table = ablation_table(runs)
    assert row(table, "base", "defaults")["mask_share"] == pytest.approx(1)
    assert row(table, "n_mix", 2)["mask_share"] == pytest.approx(0.5)
    assert row(table, "n_mix", 2)["mask_area_gap"] == pytest.approx(0.2)
