"""Scores: which number does each rule make of one learning curve, and what gain does it show?"""

from dataclasses import replace

import numpy as np
import pytest
from helpers.reproduced import CURVE, history, three_seeds, write_run

from adautomix import figures
from adautomix.config import TrainConfig
from adautomix.recipes import RECIPES
from adautomix.results.reproduction import cells, overview
from adautomix.results.selection import conventions, score, scores
from adautomix.runs.run import find_runs
from adautomix.utils.errors import UserError


@pytest.mark.parametrize(("rule", "expected"), [("median", 35.5), ("last", 90), ("best test", 90), ("validation", 12)])
def test_each_rule_makes_its_own_number_of_one_curve(rule, expected):
    val = np.zeros(len(CURVE))
    val[2] = 50  # best on held-out images in the third epoch
    assert score(history(CURVE, val=val), "student", rule) == expected


def test_short_runs_take_the_median_of_their_second_half():
    assert score(history([0, 0, 0, 1, 2, 9]), "student") == 2
    assert score(history([7]), "teacher") == 7


def test_a_run_without_held_out_images_has_no_validation_score_and_unknown_rules_are_refused():
    assert np.isnan(score(history(CURVE), "student", "validation"))
    with pytest.raises(UserError, match="'lst'; did you mean 'last'"):
        score(history(CURVE), "student", "lst")


@pytest.fixture
def runs(tmp_path):
    return three_seeds(tmp_path)


def test_the_gain_depends_on_whose_numbers_are_compared(runs):
    released = [run for run in runs if run.config.method != "cutmix" and run.history["teacher_top1"][0] != 30]
    (found,) = conventions(scores(released)).itertuples()
    assert (found.published, found.student, found.teacher) == (56 - 51, 48 - 51, 56 - 40)
    assert found.seeds == 3


def test_every_setting_of_ours_is_compared_and_only_with_runs_that_had_the_same_chances(tmp_path):
    base = TrainConfig(data="cifar100", method="mixup", epochs=8)
    write_run(tmp_path, base, [50] * 8)
    write_run(tmp_path, replace(base, width=16), [10] * 8)
    for options, top1 in (({}, 55), ({"objective": "paper"}, 40)):
        write_run(tmp_path, replace(base, method="adautomix", options=options), [top1] * 8)
    found = conventions(scores(find_runs(tmp_path)))
    assert sorted(found["student"]) == [-10, 5]  # not 45: the narrow network is no rival of a wide one
    assert found["setting"].str.contains("objective").all()


def test_conventions_of_runs_without_adautomix_are_empty(runs):
    assert conventions(scores([run for run in runs if run.config.method == "mixup"])).empty


def test_the_rule_that_needs_held_out_images_says_so(runs):
    made = cells(runs, 1, rule="validation")
    assert overview(made).loc["mixup", "CIFAR-100, ResNet-18"] == "79.12 / 78.09 (200 epochs) / no held-out images"
    assert conventions(scores(runs), rule="validation").empty


def test_the_rules_figure_draws_points_above_the_papers_rule(tmp_path):
    run = write_run(tmp_path, RECIPES["cifar100_resnet18/mixup"].config(), CURVE)
    figure = figures.rule_offsets(scores([run]))
    dots = {float(point[0]) for group in figure.axes[0].collections for point in group.get_offsets()}
    assert dots == {90 - 35.5}
