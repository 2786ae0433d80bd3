"""Ablations: which runs are compared with which, over which seeds, and what is drawn, shown and left out."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from adautomix import figures
from adautomix.ablations import (
    FACTORS,
    OPTIONS,
    ablation_table,
    comparison_counts,
    left_out,
    not_run,
    plan_commands,
    wide_ablations,
)
from adautomix.config import EmaConfig, OptimConfig, TrainConfig
from adautomix.errors import UserError
from adautomix.evaluate.statistics import paired_t
from adautomix.methods import resolve_options
from adautomix.run import create, run_for
from adautomix.runner.plan import find_plan, read_plan

DATASET = {"label": "digits", "classes": ["0", "1"], "fingerprint": "f"}
SETTING = "digits, resnet18_w16, 8 epochs"
STUDENT = OptimConfig(lr=0.1, warmup_epochs=1.0)
BASE = {0: 90.0, 1: 92.0, 2: 91.0}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def store(tmp_path):
    """Return a function that makes finished runs of some settings, from accuracies by seed."""

    def make(tops, entropy=1.0, method="adautomix", **settings):
        runs = []
        for seed, top in tops.items():
            fixed = {"data": "digits", "width": 16, "epochs": 8, "optim": {"student": STUDENT}}
            config = TrainConfig(method=method, seed=seed, **fixed | settings)
            if method == "adautomix":
                config = TrainConfig(**vars(config) | {"options": resolve_options(method, config.options)})
            run = run_for(tmp_path, config, DATASET)
            create(run, config, DATASET)
            run.write_history([{"mask_entropy": 9.0}, {"mask_entropy": entropy, "mask_area_gap": 0.2}])
            run.finish()
            for role, shift in (("student", 0), ("teacher", 1)):
                run.write_metrics("accuracy", role, {"value": {"top1": top + shift}, "n_images": 9})
            runs.append(run)
        return runs

    return make


def row(table, factor, value, role="student"):
    (found,) = table[(table["factor"] == factor) & (table["role"] == role)].to_dict("records")
    assert found["value"] == value
    return found


def test_the_options_and_factors_are_those_of_the_method_and_the_plan():
    assert resolve_options("adautomix", {}) == OPTIONS
    _, shared, steps = read_plan(find_plan("ablations"))
    assert [step.name for step in steps] == ["base", *FACTORS, "evaluate", "ablations"]
    assert shared["data"] == "cifar10"
    runs = {step.name: step.grid for step in steps if step.notebook == "10_train"}
    assert all(grid["seed"] == [0, 1, 2] for grid in runs.values())
    changed = {name: {k for value in grid.get("options", []) for k in value} for name, grid in runs.items()}
    assert {name: keys for name, keys in changed.items() if keys} == {name: {name} for name in FACTORS[:6]}


def test_a_value_is_compared_with_the_base_seed_by_seed(store):
    table = ablation_table(store(BASE) + store({0: 91.0, 1: 92.5, 2: 93.0}, options={"beta": 0.1}))
    found, teacher = row(table, "beta", 0.1), row(table, "beta", 0.1, "teacher")
    expected = paired_t([91.0, 92.5, 93.0], [90.0, 92.0, 91.0])
    assert (found["setting"], found["base_value"], found["n"], found["pairs"]) == (SETTING, 0.3, 3, 3)
    assert found["mean"] == pytest.approx(276.5 / 3)
    assert found["sd"] == pytest.approx(np.std([91.0, 92.5, 93.0], ddof=1))
    for name in ("difference", "low", "high", "p"):
        assert found[name] == pytest.approx(getattr(expected, name))
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
    with pytest.raises(UserError, match=f"none of {len(runs)} evaluated runs .* run 10_train with method adautomix"):
        ablation_table(runs)


def test_mask_gauges_are_of_the_last_epoch_and_entropy_is_held_against_its_maximum(store):
    runs = store(BASE, entropy=math.log(3)) + store({0: 90.0}, entropy=math.log(2) / 2, options={"n_mix": 2})
    table = ablation_table(runs)
    assert row(table, "base", "defaults")["mask_share"] == pytest.approx(1)
    assert row(table, "n_mix", 2)["mask_share"] == pytest.approx(0.5)
    assert row(table, "n_mix", 2)["mask_area_gap"] == pytest.approx(0.2)


def test_comparisons_are_counted_and_held_against_their_number(store):
    runs = store(BASE)
    for k, noise in enumerate((0.1, 0.5, 3.0)):  # p of 0.0004, 0.009 and 0.22, by scipy
        tops = {seed: top + 3 + noise * (seed - 1) for seed, top in BASE.items()}
        runs += store(tops, options={"alpha": 2.0 + k})
    runs += store({0: 50.0}, options={"n_mix": 2})
    counts = comparison_counts(ablation_table(runs)).set_index("role").loc["student"]
    assert (counts["intervals"], counts["leave_out_0"], counts["by_chance"]) == (3, 2, pytest.approx(0.15))
    assert counts["after_holm"] == 2
    assert comparison_counts(ablation_table(store(BASE))).empty


def test_holm_takes_back_what_one_comparison_alone_would_show(store):
    runs = store(BASE)
    for k, noise in enumerate((0.9, 9.0)):
        runs += store({s: top + 3 + noise * (s - 1) for s, top in BASE.items()}, options={"alpha": 2.0 + k})
    counts = comparison_counts(ablation_table(runs)).iloc[0]
    assert (counts["leave_out_0"], counts["after_holm"]) == (1, 0)


def test_the_table_to_read_has_one_row_a_value_with_seeds_means_and_intervals(store):
    runs = store(BASE) + store({s: t + 1 for s, t in BASE.items()}, options={"lam_channel": True})
    wide = wide_ablations(ablation_table(runs + store({0: 91.5}, options={"n_mix": 2})))
    assert wide["value"].tolist() == ["defaults", "2", "on"]
    assert wide["seeds"].tolist() == [3, 1, 3]
    assert wide["student"].tolist() == ["91.00 ± 1.00", "91.50", "92.00 ± 1.00"]
    assert wide["student − base"].tolist() == ["–", "+1.50", "+1.00 [+1.00, +1.00]"]
    assert wide["teacher"].iloc[0] == "92.00 ± 1.00"


def test_the_commands_set_what_differs_from_the_plan_and_name_the_steps(store):
    _, shared, _ = read_plan(find_plan("ablations"))
    run, evaluate = plan_commands(store(BASE), SETTING, ["beta", "n_mix"], shared).replace("\\\n    ", "").split("\n")
    assert run == (
        "adautomix run ablations --name ablations_digits --set data=digits --set width=16 --set epochs=8 "
        "--set weight_decay=0.0001 --set warmup_epochs=1.0 --only base beta n_mix"
    )
    assert evaluate == "adautomix evaluate outputs/ablations_digits"


def labels(axis):
    return [text.get_text() for text in axis.get_xticklabels()]


def test_a_panel_a_factor_with_the_base_in_its_place_and_open_points_without_intervals(store):
    runs = store(BASE) + store({0: 91.0}, options={"beta": 0.1})
    runs += store({s: t + 1 + s / 9 for s, t in BASE.items()}, options={"beta": 0.6})
    table = ablation_table(runs + store({0: 80.0}, options={"objective": "paper"}))
    figure = figures.ablation_panels(table)
    objective, beta = figure.axes
    assert labels(objective) == ["released\n(base)", "paper"]
    assert labels(beta) == ["0.1", "0.3\n(base)", "0.6"]
    assert [len(axis.collections) for axis in (objective, beta)] == [0, 2]  # intervals of beta 0.6
    points = [line for line in beta.lines if line.get_marker() in "os"]
    assert [line.get_fillstyle() for line in points] == ["none", "full"] * 2
    np.testing.assert_allclose([line.get_xdata()[0] for line in points], [-0.13, 1.87, 0.13, 2.13])
    np.testing.assert_allclose(points[1].get_ydata(), [1 + 1 / 9])
    assert "open" in figure.legends[0].get_texts()[-1].get_text()


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (8, (2, 4))])
def test_panels_of_one_to_eight_factors_are_laid_out_evenly(count, shape):
    names = ["student", "teacher"]
    rows = [{"factor": f, "value": 2, "base_value": 1, "role": r} for f in FACTORS[:count] for r in names]
    table = pd.DataFrame(rows).assign(difference=0.5, low=0.1, high=0.9)
    figure = figures.ablation_panels(table)
    grid = figure.axes[0].get_gridspec()
    assert (len(figure.axes), (grid.nrows, grid.ncols)) == (count, shape)
    assert len(figure.legends[0].get_texts()) == 3  # every point has its interval


def test_a_table_of_the_base_alone_cannot_be_drawn(store):
    with pytest.raises(UserError, match="no run differs from the base in one setting"):
        figures.ablation_panels(ablation_table(store(BASE)))


def test_the_notebook_names_every_factor_of_the_plan():
    text = (Path(__file__).parents[1] / "notebooks" / "37_ablations.ipynb").read_text()
    assert all(f"| `{factor}` |" in text for factor in FACTORS)
