"""The paper's tables beside ours, from Runs written by hand with known learning curves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adautomix import figures
from adautomix.config import TrainConfig
from adautomix.errors import UserError
from adautomix.methods import resolve_options
from adautomix.paper import COLUMN_NAMES, published
from adautomix.recipes import METHODS, RECIPES
from adautomix.recipes.released import IMAGES
from adautomix.reproduction import cells, detail, markdown, of_kind, overview, require_runs
from adautomix.rules import conventions, score, scores
from adautomix.run import Run, create, find_runs, run_for

ROOT = Path(__file__).parents[1]
CURVE = [*range(10, 40), 90]
"""Rises by one an epoch, and jumps in the last."""


def history(student, teacher=None, val=None):
    values = {"epoch": range(1, len(student) + 1), "student_top1": student, "teacher_top1": teacher or student}
    held_out = {} if val is None else {"student_val_top1": val, "teacher_val_top1": val}
    losses = {f"{role}_loss": [1.0] * len(student) for role in ("student", "teacher")}
    return pd.DataFrame(values | held_out | losses)


def write_run(root, config: TrainConfig, student, teacher=None, **of_images) -> Run:
    config = replace(config, options=resolve_options(config.method, config.options))
    classes, images = IMAGES[config.data]
    held_out = round(images * config.validation)
    dataset = {"label": config.data, "classes": list(range(classes)), "fingerprint": "x"}
    dataset |= {"n_train": images - held_out, "n_validation": held_out} | of_images
    run = run_for(root, config, dataset)
    create(run, config, dataset)
    run.write_history(history(student, teacher).to_dict("records"))
    run.finish()
    return run


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
    with pytest.raises(UserError, match="unknown rule 'lst'; did you mean 'last'"):
        score(history(CURVE), "student", "lst")


@pytest.fixture
def runs(tmp_path):
    """Three seeds of MixUp and AdAutoMix on 1 % of the epochs, released and fair, and something that is no recipe."""
    for seed in range(3):
        for method, student, teacher in (("mixup", 50 + seed, 40), ("adautomix", 48, 55 + seed)):
            config = RECIPES[f"cifar100_resnet18/{method}"].config(budget=0.01, seed=seed)
            write_run(tmp_path, config, [student] * 8, [teacher] * 8)
        fair = RECIPES["cifar100_resnet18/adautomix"].config(budget=0.01, seed=seed, fair=True)
        write_run(tmp_path, fair, [60 + seed] * 8, [30] * 8)
    write_run(tmp_path, TrainConfig(data="cifar100", method="cutmix", epochs=8), [99] * 8)
    return find_runs(tmp_path)


def row(made, method, role, column="cifar100_resnet18"):
    (found,) = made[(made["method"] == method) & (made["role"] == role) & (made["column"] == column)].itertuples()
    return found


def test_a_cell_holds_mean_spread_seeds_and_budget_beside_the_published_number(runs):
    cell = row(cells(runs, 1), "mixup", "student")
    assert (cell.mean, cell.sd, cell.n) == (51, 1, 3)
    assert (cell.epochs, cell.budget) == (8, 0.01)
    assert cell.paper == published("cifar100_resnet18", "mixup") == 79.12
    assert cell.difference == pytest.approx(51 - 79.12)


def test_the_difference_is_to_the_role_that_was_published_and_the_gain_is_within_a_role(runs):
    made = cells(runs, 1)
    student, teacher = row(made, "adautomix", "student"), row(made, "adautomix", "teacher")
    assert np.isnan(student.difference)
    assert teacher.difference == pytest.approx(56 - 82.32)
    assert (student.gain, teacher.gain) == (48 - 51, 56 - 40)
    assert row(made, "mixup", "teacher").gain == 40 - 56


def test_fair_takes_the_fair_runs_of_the_learned_methods_and_the_same_runs_of_the_others(runs):
    made = cells(runs, 1, fair=True)
    assert row(made, "adautomix", "student").mean == 61
    assert row(made, "mixup", "student").mean == 51


def test_cells_that_were_not_run_say_so_and_runs_of_no_recipe_do_not_count(runs):
    made = cells(runs, 1)
    assert row(made, "cutmix", "student").n == 0
    assert set(detail(made, "cifar100_resnet18")["on"]) == {"not run", "8 of 800 epochs"}
    wide = overview(made)
    assert wide.shape == (len(METHODS), 9)
    assert wide.loc["mixup", "CIFAR-100, ResNet-18"] == "79.12 / 51.00 (8 of 800 epochs)"
    assert wide.loc["manifoldmix", "CIFAR-100, ResNet-18"] == "– / not run"
    assert overview(cells(runs, 2)).shape == (len(METHODS), 6)


def test_runs_on_different_budgets_are_rows_of_their_own_and_not_compared(runs, tmp_path):
    config = RECIPES["cifar100_resnet18/adautomix"].config(budget=0.02)
    longer = write_run(tmp_path, config, [70] * 16)
    made = cells([*runs, longer], 1)
    both = made[(made["method"] == "adautomix") & (made["role"] == "teacher") & (made["n"] > 0)]
    assert both["epochs"].tolist() == [8, 16]
    assert both["gain"].isna().tolist() == [False, True]
    assert len(detail(made, "cifar100_resnet18")) == len(METHODS) + 1


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


def test_what_departs_from_the_recipe_stands_behind_the_number(tmp_path):
    recipe = RECIPES["cifar100_resnet18/mixup"]
    write_run(tmp_path, recipe.config(), [50] * 800)
    write_run(tmp_path, recipe.config(validation=0.1, precision="bfloat16"), [60] * 800)
    cell = overview(cells(find_runs(tmp_path), 1)).loc["mixup", "CIFAR-100, ResNet-18"]
    assert set(cell.split("; ")) == {"79.12 / 50.00", "79.12 / 60.00 (all epochs, 10 % held out, bfloat16)"}


def test_the_same_seed_with_another_layout_is_not_a_second_seed(tmp_path):
    recipe = RECIPES["cifar100_resnet18/mixup"]
    for layout in (False, True):
        write_run(tmp_path, recipe.config(channels_last=layout), [50 + layout] * 800)
    made = cells(find_runs(tmp_path), 1)
    assert made.loc[made["n"] > 0, "n"].tolist() == [1] * 4


def test_a_part_of_the_images_is_not_the_papers_data_set(tmp_path):
    config = RECIPES["imagenet_resnet18/mixup"].config()
    write_run(tmp_path, config, [50] * 100, n_train=126_689, classes=list(range(100)))
    assert (cells(find_runs(tmp_path), 1)["n"] == 0).all()


def test_the_rule_that_needs_held_out_images_says_so(runs):
    made = cells(runs, 1, rule="validation")
    assert overview(made).loc["mixup", "CIFAR-100, ResNet-18"] == "79.12 / no held-out images"
    assert conventions(scores(runs), rule="validation").empty


def test_fair_and_released_runs_are_kept_apart(runs):
    learned = [run for run in runs if run.config.method == "adautomix"]
    for fair in (False, True):
        kept = of_kind(runs, fair=fair)
        assert len(kept) == len(runs) - len(learned) // 2
        assert {run.history["student_top1"][0] for run in kept if run in learned} <= ({60, 61, 62} if fair else {48})


def test_markdown_is_a_table():
    frame = pd.DataFrame({"x": ["1 / 2"]}, index=pd.Index(["mixup"], name="method"))
    assert markdown(frame) == "| method | x |\n| --- | --- |\n| mixup | 1 / 2 |\n"


def test_no_runs_at_all_say_what_to_run_first():
    with pytest.raises(UserError, match="run 10_train or 12_recipe first"):
        require_runs([], "outputs")


def test_the_figure_shows_the_papers_numbers_and_ours_and_says_what_was_run(runs):
    figure = figures.paper_panels(cells(runs, 1), COLUMN_NAMES)
    panel, empty = figure.axes[0], figure.axes[1]
    assert panel.get_title() == "CIFAR-100, ResNet-18\n8 epochs"
    assert empty.get_title() == "CIFAR-100, ResNeXt-50\nnot run"
    paper, student, teacher = (line.get_xdata() for line in panel.get_lines()[:3])
    place = list(METHODS).index("adautomix")
    assert paper[place] == 82.32
    assert np.isnan(paper[list(METHODS).index("manifoldmix")])
    assert (student[place], teacher[place]) == (48, 56)


def test_the_rules_figure_draws_points_above_the_papers_rule(tmp_path):
    run = write_run(tmp_path, RECIPES["cifar100_resnet18/mixup"].config(), CURVE)
    figure = figures.rule_offsets(scores([run]))
    dots = {float(point[0]) for group in figure.axes[0].collections for point in group.get_offsets()}
    assert dots == {90 - 35.5}


def test_the_published_study_has_every_method_of_the_paper_with_three_seeds():
    folder = ROOT / "outputs" / "reference" / "ten_methods"
    values = pd.read_csv(folder / "scores.csv")
    assert set(values["method"]) == set(METHODS)
    assert (values.groupby("method")["seed"].nunique() >= 3).all()
    assert values["alike"].nunique() == 1
    found = values[(values["rule"] == "last") & (values["role"] == "student")].groupby("method")["top1"].mean()
    readme = (folder.parent / "README.md").read_text()
    (rows,) = [part for part in readme.split("\n## ") if part.startswith("ten_methods")]
    for method in METHODS:
        (line,) = [line for line in rows.splitlines() if line.startswith(f"| {method} |")]
        assert line.split("|")[4].split()[0] == f"{found[method]:.2f}"
