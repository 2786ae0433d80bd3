"""The paper's tables: what stands beside each published number, from Runs written by hand?"""

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from helpers.reproduced import three_seeds, write_run

from adautomix import figures
from adautomix.paper import COLUMN_NAMES, published
from adautomix.recipes import METHODS, RECIPES
from adautomix.results.reproduction import cells, detail, markdown, of_kind, overview, require_runs
from adautomix.runs.run import find_runs
from adautomix.utils.errors import UserError


@pytest.fixture
def runs(tmp_path):
    return three_seeds(tmp_path)


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
    assert wide.loc["mixup", "CIFAR-100, ResNet-18"] == "79.12 / 78.09 (200 epochs) / 51.00 (8 of 800 epochs)"
    assert wide.loc["manifoldmix", "CIFAR-100, ResNet-18"] == "– / no log / not run"
    assert wide.loc["adautomix", "CIFAR-100, ResNeXt-50"] == "84.22 / 84.25 / not run"
    assert overview(cells(runs, 2)).shape == (len(METHODS), 6)


def test_runs_on_different_budgets_are_rows_of_their_own_and_not_compared(runs, tmp_path):
    config = RECIPES["cifar100_resnet18/adautomix"].config(budget=0.02)
    longer = write_run(tmp_path, config, [70] * 16)
    made = cells([*runs, longer], 1)
    both = made[(made["method"] == "adautomix") & (made["role"] == "teacher") & (made["n"] > 0)]
    assert both["epochs"].tolist() == [8, 16]
    assert both["gain"].isna().tolist() == [False, True]
    assert len(detail(made, "cifar100_resnet18")) == len(METHODS) + 1


def test_what_departs_from_the_recipe_stands_behind_the_number(tmp_path):
    recipe = RECIPES["cifar100_resnet18/mixup"]
    write_run(tmp_path, recipe.config(), [50] * 800)
    write_run(tmp_path, recipe.config(validation=0.1, precision="bfloat16"), [60] * 800)
    cell = overview(cells(find_runs(tmp_path), 1)).loc["mixup", "CIFAR-100, ResNet-18"]
    others = "79.12 / 78.09 (200 epochs) / "
    assert set(cell.split("; ")) == {f"{others}50.00", f"{others}60.00 (all epochs, 10 % held out, bfloat16)"}


def test_the_same_seed_with_another_layout_is_not_a_second_seed(tmp_path):
    recipe = RECIPES["cifar100_resnet18/mixup"]
    for layout in (False, True):
        write_run(tmp_path, recipe.config(channels_last=layout), [50 + layout] * 800)
    made = cells(find_runs(tmp_path), 1)
    assert made.loc[made["n"] > 0, "n"].tolist() == [1] * 4


def test_accuracies_of_two_evaluation_precisions_are_not_averaged(tmp_path):
    recipe = RECIPES["cifar100_resnet18/mixup"]
    write_run(tmp_path, recipe.config(), [50] * 800)
    for seed in (0, 1):
        write_run(tmp_path, recipe.config(seed=seed, eval_precision="bfloat16"), [60] * 800)
    runs = find_runs(tmp_path)
    for order in (runs, runs[::-1]):
        made = cells(order, 1).query("role == 'student' and n > 0")
        assert dict(zip(made["mean"], made["n"], strict=True)) == {50: 1, 60: 2}
    text = overview(cells(runs, 1)).loc["mixup", "CIFAR-100, ResNet-18"]
    assert "60.00 (all epochs, evaluated in bfloat16)" in text


def test_a_part_of_the_images_is_not_the_papers_data_set(tmp_path):
    config = RECIPES["imagenet_resnet18/mixup"].config()
    write_run(tmp_path, config, [50] * 100, n_train=126_689, classes=list(range(100)))
    assert (cells(find_runs(tmp_path), 1)["n"] == 0).all()


def test_fair_and_released_runs_are_kept_apart(runs):
    learned = [run for run in runs if run.config.method == "adautomix"]
    for fair in (False, True):
        kept = of_kind(runs, fair=fair)
        assert len(kept) == len(runs) - len(learned) // 2
        assert {run.history["student_top1"][0] for run in kept if run in learned} <= ({60, 61, 62} if fair else {48})


def test_markdown_is_a_table():
    frame = pd.DataFrame({"x": ["1 / 2"]}, index=pd.Index(["mixup"], name="method"))
    assert markdown(frame.reset_index()) == "| method | x |\n| --- | --- |\n| mixup | 1 / 2 |\n"
    assert markdown(pd.DataFrame({"x": ["a|b"]})).splitlines()[-1] == "| a\\|b |"


def test_another_table_is_refused():
    with pytest.raises(UserError, match="must be 1 or 2, got 3"):
        cells([], 3)


def test_no_runs_at_all_say_what_to_run_first():
    with pytest.raises(UserError, match="run 10_train"):
        require_runs([], "outputs")


def test_the_figure_shows_the_papers_numbers_and_ours_and_says_what_was_run(runs):
    figure = figures.paper_panels(cells(runs, 1), COLUMN_NAMES)
    panel, empty = figure.axes[0], figure.axes[1]
    assert panel.get_title() == "CIFAR-100, ResNet-18\n8 epochs"
    assert empty.get_title() == "CIFAR-100, ResNeXt-50\nnot run"
    rows = [tick.get_text() for tick in panel.get_yticklabels()]
    place = rows.index("adautomix")
    drawn = {line.get_label(): line.get_xdata() for line in panel.get_lines()}
    assert (drawn["paper"][place], drawn["the authors' log"][place]) == (82.32, pytest.approx(82.32))
    measured = {bars.get_label(): bars[0].get_xdata() for bars in panel.containers}
    assert (measured["student"][place], measured["teacher"][place]) == (48, 56)


def test_the_figure_of_a_table_that_was_not_run_has_no_empty_row_and_no_empty_entry():
    figure = figures.paper_panels(cells([], 1), COLUMN_NAMES)
    assert "manifoldmix" not in [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["paper", "paper, no mixing", "the authors' log", "a shorter log"]
    marks = {line.get_label(): line.get_xdata() for line in figure.axes[0].get_lines()}
    count = {name: sum(pd.notna(marks[name])) for name in texts[2:]}
    assert count == {"the authors' log": 1, "a shorter log": 6}, "of 800 epochs only AdAutoMix's is there"
    assert "not run" not in figure.axes[0].get_title()


def test_the_published_study_has_every_method_of_the_paper_with_three_seeds():
    folder = ROOT / "outputs" / "reference" / "ten_methods"
    values = pd.read_csv(folder / "scores.csv")
    assert set(values["method"]) == set(METHODS)
    assert (values.groupby("method")["seed"].nunique() >= 3).all()
    assert values["comparable_key"].nunique() == 1
    found = values[(values["rule"] == "last") & (values["role"] == "student")].groupby("method")["top1"].mean()
    readme = (folder.parent / "README.md").read_text()
    (rows,) = [part for part in readme.split("\n## ") if part.startswith("ten_methods")]
    for method in METHODS:
        (line,) = [line for line in rows.splitlines() if line.startswith(f"| {method} |")]
        assert line.split("|")[4].split()[0] == f"{found[method]:.2f}"
