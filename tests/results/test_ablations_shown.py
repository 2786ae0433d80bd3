"""Ablations: what do the counts, the table to read, the commands, the figure and the notebook show?"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from helpers.ablated import BASE, SETTING, finished

from adautomix import figures
from adautomix.plans.plan import find_plan, read_plan
from adautomix.results.ablations import (
    FACTORS,
    ablation_table,
    comparison_counts,
    plan_commands,
    wide_ablations,
)
from adautomix.utils.errors import UserError


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def store(tmp_path):
    return partial(finished, tmp_path)


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
    runs = store(BASE) + store({s: t + 1 + 0.1 * (s - 1) for s, t in BASE.items()}, options={"lam_channel": True})
    wide = wide_ablations(ablation_table(runs + store({0: 91.5}, options={"n_mix": 2})))
    assert wide["value"].tolist() == ["defaults", "2", "on"]
    assert wide["seeds"].tolist() == [3, 1, 3]
    assert wide["student"].tolist() == ["91.00 ± 1.00", "91.50", "92.00 ± 1.05"]
    assert wide["student − base"].tolist() == ["–", "+1.50", "+1.00 [+0.75, +1.25]"]
    assert wide["teacher"].iloc[0] == "92.00 ± 1.00"


def test_the_commands_set_what_differs_from_the_plan_and_name_the_steps(store):
    shared = read_plan(find_plan("ablations")).parameters
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
    text = (ROOT / "notebooks" / "37_ablations.ipynb").read_text()
    assert all(f"| `{factor}` |" in text for factor in FACTORS)
