"""The authors' logs under our rules, and our curves on theirs."""

import numpy as np
import pytest
from helpers.reproduced import three_seeds

from adautomix.figures import ours_and_theirs
from adautomix.paper import log
from adautomix.results import agreement, beside_log, cells, log_scores, logged_value, short_runs_and_table3


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
