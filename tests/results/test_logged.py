"""The authors' logs under our rules, and our curves on theirs."""

import numpy as np
import pandas as pd
import pytest
from helpers.reproduced import three_seeds, write_run

from adautomix.figures import ours_and_theirs, replayed_windows
from adautomix.paper import log
from adautomix.recipes import RECIPES
from adautomix.results import (
    agreement,
    beside_log,
    cells,
    first_losses,
    log_scores,
    logged_value,
    short_runs_and_table3,
)


def test_a_cells_log_is_scored_by_the_papers_rule_and_role():
    assert logged_value("cifar100_resnet18", "adautomix", "teacher") == (pytest.approx(82.32), 800)
    assert logged_value("cifar100_resnet18", "mixup", "teacher") is None  # no teacher was logged
    assert logged_value("imagenet_resnet18", "adautomix", "teacher") is None


def test_published_numbers_are_explained_by_the_statistic_that_gives_them():
    found = agreement().set_index(["column", "method", "epochs"])
    assert len(found) == 45
    assert (found["explained_by"] != "none").sum() == 35
    cars = found.loc[("cars_resnet18", "adautomix", 200)]
    assert "student: median of the last 10" in cars["explained_by"]
    assert "teacher: median" not in cars["explained_by"]
    assert found.loc[("cifar100_swin_t", "adautomix", 200), "explained_by"] == "teacher: last; teacher: best"
    assert found.loc[("cub200_resnet50", "mixup", 200), "difference"] == pytest.approx(83.535 - 82.98, abs=1e-3)


def test_table_3_is_of_two_hundred_epochs():
    found = short_runs_and_table3().set_index("method")["difference"]
    assert abs(found["adautomix"]) < 0.05
    assert found["fmix"] == pytest.approx(79.435 - 78.91)


def test_scores_of_logs_leave_out_what_was_not_measured():
    found = log_scores()
    assert not found["top1"].isna().any()
    assert set(found.loc[found["method"] == "mixup", "role"]) == {"student"}


def test_cells_carry_the_log_of_either_role(tmp_path):
    made = cells(three_seeds(tmp_path), 2).set_index(["column", "method", "role"])["log"]
    assert made["cars_resnet18", "adautomix", "student"] == pytest.approx(89.187, abs=1e-3)
    assert made["cars_resnet18", "adautomix", "teacher"] == pytest.approx(89.112, abs=1e-3)
    assert np.isnan(made["cars_resnet18", "mixup", "teacher"])
    assert np.isnan(made["cub200_resnet18", "mixup", "student"])


def test_our_curve_lies_on_the_log_of_its_cell_as_far_as_it_goes(tmp_path):
    curves = beside_log(three_seeds(tmp_path))
    theirs = curves[(curves["source"] == "the authors'") & (curves["method"] == "adautomix")]
    assert set(theirs["epochs_of_log"]) == {800}
    one = theirs[theirs["run"] == theirs["run"].iloc[0]]
    expected = log("cifar100", "resnet18", "adautomix", 800).head(8)
    assert one.loc[one["role"] == "student", "top1"].tolist() == expected["student_top1"].tolist()
    ours = curves[(curves["source"] == "ours") & (curves["method"] == "mixup") & (curves["role"] == "teacher")]
    assert set(ours["top1"]) == {40}
    figure = ours_and_theirs(curves)
    assert sum(axis.has_data() for axis in figure.axes) == curves["run"].nunique()
    assert beside_log([]).empty
    begun = write_run(tmp_path, RECIPES["cifar100_resnet18/adautomix"].config(seed=9), [1.0])
    (begun.path / "history.csv").unlink()
    assert beside_log([begun]).empty


def test_first_losses_tell_how_many_images_were_mixed_and_which_beta_fits():
    found = first_losses().set_index(["column", "epochs"])
    assert len(found) == 12
    whole = found.loc[("cifar100_resnet18", 800)]
    assert whole["n_mix"] == 3
    # 11.17877 = 2.5 L - b L / 2 + (1 - b) / 2 with L = ln 100, solved by hand for a cosine of 1
    assert whole["beta_high"] == pytest.approx((2.5 * 4.60517 + 0.5 - 11.17877) / (4.60517 / 2 + 0.5), abs=1e-4)
    assert found.loc[("cars_resnet18", 200), "n_mix"] == 2


def test_a_replay_is_drawn_over_its_log():
    rows = pd.DataFrame(
        {"iteration": [50, 100], "value": "loss", "theirs": [11.2, 10.8], "ours": [11.1, 10.8], "bar": 0.1}
    )
    figure = replayed_windows(rows, {"loss": "loss (nats)"})
    axis = figure.axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[11.2, 10.8], [11.1, 10.8]]
    assert axis.get_ylabel() == "loss (nats)"
