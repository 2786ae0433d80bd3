"""Tables of runs: which runs are averaged, what are rows and columns called, and what is drawn of them?"""

import itertools

import pytest
from helpers.run_folders import DATASET, make_run
from matplotlib.colors import rgb_to_hsv, to_rgb

from adautomix import figures
from adautomix.config import OptimConfig
from adautomix.results.tables import ALWAYS, best_methods, class_accuracies, epochs, histories, table, wide_table
from adautomix.runs.publishing import reference_run
from adautomix.runs.run import find_runs
from adautomix.utils.errors import UserError


def test_table_gives_mean_sd_and_n_over_seeds(tmp_path):
    for seed, top1 in enumerate((50.0, 54.0, 55.0)):
        make_run(tmp_path, top1, method="mixup", seed=seed)
    stats = table(find_runs(tmp_path)).set_index("role")
    assert table(str(tmp_path)).set_index("role").equals(stats)
    assert stats.loc["student", "mean"] == pytest.approx(53.0)
    assert stats.loc["student", "sd"] == pytest.approx(7**0.5)  # ddof 1: (9 + 1 + 4) / 2
    assert stats.loc["teacher", "mean"] == pytest.approx(54.0)
    assert (stats["n"] == 3).all()


def test_runs_that_differ_in_more_than_the_seed_are_not_averaged(tmp_path):
    make_run(tmp_path, 50.0, method="mixup", seed=0)
    make_run(tmp_path, 60.0, method="mixup", seed=1, optim={"student": OptimConfig(lr=0.2)})
    make_run(tmp_path, 70.0, method="mixup", seed=2, options={"alpha": 0.5})
    make_run(tmp_path, 80.0, method="mixup", seed=3, dataset=DATASET | {"fingerprint": "g"})
    stats = table(find_runs(tmp_path))
    assert sorted(stats[stats["role"] == "student"]["mean"]) == [50.0, 60.0, 70.0, 80.0]
    assert {"optim.student.lr", "options.alpha", "fingerprint"} <= set(stats.columns)
    assert (stats["n"] == 1).all()
    assert stats["label"].nunique() == 4
    assert stats["label"].str.contains("mixup, lr 0.1, fingerprint f, alpha 0.5").any()
    wide = wide_table(stats)
    assert len(wide) == 4  # a setting that only some have must not lose the others


def test_options_show_only_where_they_differ_within_a_method(tmp_path):
    make_run(tmp_path, 50.0, method="mixup", options={"alpha": 1.0})
    make_run(tmp_path, 60.0, method="cutmix", options={"alpha": 0.2})
    stats = table(find_runs(tmp_path))
    assert "options.alpha" not in stats.columns
    assert set(stats["label"]) == {"mixup", "cutmix"}


def test_settings_that_follow_from_data_or_method_are_no_columns(tmp_path):
    make_run(tmp_path, 50.0, method="mixup")
    make_run(tmp_path, 60.0, method="automix", optim={"student": OptimConfig(), "generator": OptimConfig(lr=0.2)})
    make_run(tmp_path, 70.0, method="mixup", batch_size=20, dataset=DATASET | {"label": "other", "fingerprint": "g"})
    assert set(table(find_runs(tmp_path)).columns) == {*ALWAYS, "label", "role", "mean", "sd", "n", "values"}


def test_another_backbone_has_another_recipe_and_its_name_says_enough(tmp_path):
    make_run(tmp_path, 60.0, method="mixup", width=16, epochs=8)
    make_run(tmp_path, 70.0, method="mixup", backbone="vit_tiny_patch16_224", epochs=24, batch_size=20)
    stats = table(find_runs(tmp_path))
    assert set(stats["label"]) == {"mixup, backbone resnet18", "mixup, backbone vit_tiny_patch16_224"}
    assert set(stats.columns) == {*ALWAYS, "label", "role", "mean", "sd", "n", "values"}


def test_the_same_run_found_twice_is_one_seed(tmp_path):
    for place in ("here", "there"):
        make_run(tmp_path / place, 50.0, method="mixup")
    assert (table(find_runs(tmp_path))["n"] == 1).all()


def test_figures_draw_every_setting_of_a_method_by_itself(tmp_path):
    make_run(tmp_path, 50.0, method="mixup")
    make_run(tmp_path, 60.0, method="mixup", optim={"student": OptimConfig(lr=0.2)})
    make_run(tmp_path, 70.0, method="cutmix")
    runs = find_runs(tmp_path)
    ticks = [tick.get_text() for tick in figures.accuracy_bars(table(runs)).axes[0].get_yticklabels()]
    assert ticks == ["cutmix", "mixup, lr 0.2", "mixup, lr 0.1"]
    legend = figures.learning_curves(histories(runs)).axes[1].get_legend()
    assert {text.get_text() for text in legend.get_texts()} == set(ticks)


def test_fewer_than_three_seeds_are_drawn_as_dots_without_a_bar(tmp_path):
    for seed, top1 in enumerate((50.0, 54.0, 55.0)):
        make_run(tmp_path, top1, method="mixup", seed=seed)
        if seed < 2:
            make_run(tmp_path, top1, method="cutmix", seed=seed)
    axis = figures.accuracy_bars(table(find_runs(tmp_path))).axes[0]
    bars = [part for part in axis.collections if len(part.get_segments())]
    assert [len(part.get_segments()) for part in bars] == [1, 1]  # mixup's, of student and teacher
    dots = [list(line.get_xdata()) for line in axis.get_lines()]
    assert [50.0, 54.0] in dots  # cutmix
    assert "one dot per seed" in axis.get_xlabel()


def test_a_method_has_one_colour_everywhere(tmp_path):
    make_run(tmp_path, 50.0, method="cutmix")
    colors = figures.label_colors(table(find_runs(tmp_path)))
    assert colors == {"cutmix": figures.method_colors()["cutmix"]}


def test_wide_table_shows_a_deviation_of_three_seeds_and_none_of_fewer(tmp_path):
    make_run(tmp_path, 50.0, method="cutmix", seed=0)
    for seed, top1 in enumerate((50.0, 54.0)):
        make_run(tmp_path, top1, method="mixup", seed=seed)
        make_run(tmp_path, 50.0, method="fmix", seed=seed)
    make_run(tmp_path, 52.0, method="mixup", seed=2)
    wide = wide_table(table(find_runs(tmp_path))).set_index("method")
    assert wide.loc["cutmix", "student"] == "50.00"
    assert wide.loc["mixup", "teacher"] == "53.00 ± 2.00"
    assert wide.loc["mixup", "seeds"] == 3
    assert wide.loc["fmix", "student"] == "50.00"  # not "± 0.00": two seeds may agree by luck


def test_a_value_that_was_not_measured_is_refused(tmp_path):
    make_run(tmp_path, 50.0)
    with pytest.raises(UserError, match="'top3'; did you mean 'top1'"):
        table(find_runs(tmp_path), value="top3")


def test_tables_of_no_runs_are_empty():
    assert table([]).empty
    assert histories([]).empty


def test_best_methods_says_who_leads_and_by_how_much(tmp_path):
    make_run(tmp_path, 50.0, method="cutmix")
    make_run(tmp_path, 54.5, method="mixup")
    lines = best_methods(table(find_runs(tmp_path)))
    assert lines[0] == "tiny, student: mixup is highest with 54.50 (n=1), +4.50 to cutmix."


def test_epochs_hold_every_column_of_the_histories_and_term_curves_draw_them(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path, 50.0, seed=seed)
    frame = epochs(find_runs(tmp_path))
    assert list(frame)[:7] == ["run", "data", "method", "backbone", "label", "seed", "epoch"]
    assert set(frame["seed"]) == {0, 1}
    figure = figures.term_curves(frame, {"student_top1": "student (%)", "teacher_top1": "teacher (%)"})
    assert [axis.get_ylabel() for axis in figure.axes] == ["student (%)", "teacher (%)"]
    assert len(figure.axes[0].get_lines()) >= 1
    assert epochs([]).empty


def test_term_curves_tell_labels_of_one_method_apart_by_hue_and_have_one_legend(tmp_path):
    for objective in ("released", "paper"):
        make_run(tmp_path, 50.0, method="adautomix", options={"objective": objective})
    make_run(tmp_path, 50.0, method="automix")
    frame = epochs(find_runs(tmp_path))
    figure = figures.term_curves(frame, {"student_top1": "student (%)", "teacher_top1": "teacher (%)"})
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 3
    assert not any(axis.get_legend() for axis in figure.axes)
    drawn = [rgb_to_hsv(to_rgb(line.get_color())) for line in legend.get_lines()]
    assert all(abs(a[0] - b[0]) > 0.05 for a, b in itertools.combinations(drawn, 2))


def test_histories_are_long_tables_of_both_roles(tmp_path):
    make_run(tmp_path, 50.0, epochs=3)
    frame = histories(find_runs(tmp_path))
    assert len(frame) == 6
    assert frame[frame["role"] == "teacher"]["top1"].tolist() == [51.0] * 3


def test_two_settings_of_one_method_and_seed_keep_their_rows_of_class_accuracies(tmp_path):
    for top1, objective in ((50.0, "released"), (60.0, "paper")):
        run = make_run(tmp_path, top1, method="adautomix", options={"objective": objective})
        for role in ("student", "teacher"):
            run.write_metrics("accuracy", role, {"value": {"per_class": [top1, 10.0]}, "n_images": 10})
    shown = class_accuracies(find_runs(tmp_path))
    assert shown.filter(like=" student", axis=0)["a"].sort_values().tolist() == [50.0, 60.0]
    assert len(shown) == 4


def test_results_measured_on_other_images_or_otherwise_are_rows_of_their_own(tmp_path):
    runs = [make_run(tmp_path, 50.0, method="mixup", seed=seed) for seed in range(4)]
    for run, images, source in zip(runs, (10_000, 500, 500, 500), ("published", "made", "made", "made"), strict=True):
        result = {"value": {"top1": 40.0 + images / 500}, "n_images": images, "settings": {"source": source}}
        run.write_metrics("corruption", "student", result)
    found = table(runs, "corruption")
    assert found["n"].tolist() == [1, 3]
    assert found["measured.images"].tolist() == ["10000", "500"]
    assert found["label"].tolist() == ["mixup, images 10000, source published", "mixup, images 500, source made"]
    assert "measured.source" in wide_table(found)
    assert not [name for name in table(runs[1:], "corruption") if name.startswith("measured.")]


def test_accuracies_of_classes_are_of_one_set_of_classes_and_of_the_networks_there_are(tmp_path):
    assert class_accuracies([reference_run()]).index.str.endswith(" teacher").all()
    sets = DATASET, DATASET | {"label": "other", "classes": ["x", "y"], "fingerprint": "g"}
    runs = [make_run(tmp_path, 50.0, images, method="mixup") for images in sets]
    for run in runs:
        run.write_metrics("accuracy", "student", {"value": {"per_class": [50.0, 10.0]}, "n_images": 10})
        (run.path / "metrics" / "accuracy.teacher.json").unlink(missing_ok=True)
    assert len(class_accuracies(runs[:1])) == 1
    with pytest.raises(UserError, match="runs on one data set are needed"):
        class_accuracies(runs)


def test_the_best_of_a_longer_training_is_no_lead_over_a_shorter_one(tmp_path):
    for method, top, length in (("vanilla", 81.0, 3), ("mixup", 60.0, 2), ("cutmix", 61.0, 2)):
        make_run(tmp_path, top, method=method, epochs=length)
    lines = [line for line in best_methods(table(find_runs(tmp_path))) if "student" in line]
    assert lines == [
        "tiny, epochs 2, student: cutmix is highest with 61.00 (n=1), +1.00 to mixup.",
        "tiny, epochs 3, student: vanilla is highest with 81.00 (n=1).",
    ]
