"""Gains over no mixing: are the right runs compared, and only those of one regime?"""

import numpy as np
import pandas as pd
import pytest
from helpers.run_folders import DATASET, make_run
from scipy import stats

from adautomix.figures import gain_curves
from adautomix.results import (
    equal_steps,
    gains,
    gains_by_seed,
    main_regime,
    other_precisions,
    regime_robustness,
    regime_scores,
    regime_table,
)
from adautomix.utils.errors import UserError

PLAIN, MIXED = (50.0, 51.0, 53.0), (55.0, 54.0, 58.0)


@pytest.fixture
def runs(tmp_path):
    made = []
    for epochs, top in ((10, 0.0), (20, 1.0)):
        for seed, (plain, mixed) in enumerate(zip(PLAIN, MIXED, strict=True)):
            common = {"epochs": epochs, "seed": seed}
            made.append(make_run(tmp_path, plain, DATASET | {"n_train": 40}, method="vanilla", **common))
            made.append(make_run(tmp_path, mixed + top, DATASET | {"n_train": 40}, method="mixup", **common))
    few = DATASET | {"n_train": 10, "label": "fewer", "fingerprint": "g"}
    made.append(make_run(tmp_path, 30.0, few, method="vanilla", epochs=10, per_class=5))
    made.append(make_run(tmp_path, 29.0, few, method="mixup", epochs=10, per_class=5))
    made.append(make_run(tmp_path, 99.0, few, method="cutmix", epochs=11, per_class=5))  # nothing to be compared with
    return made


def test_a_gain_is_over_no_mixing_in_the_same_regime_with_its_paired_interval(runs):
    found = gains(regime_scores(runs)).set_index(["per_class", "epochs", "method"])
    assert len(found) == 3
    long = found.loc[(20, 20, "mixup")]
    differences = np.array(MIXED) + 1 - np.array(PLAIN)
    low, high = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert (long["pairs"], long["difference"]) == (3, pytest.approx(differences.mean()))
    assert (long["low"], long["high"]) == (pytest.approx(low), pytest.approx(high))
    few = found.loc[(5, 10, "mixup")]
    assert (few["pairs"], few["difference"]) == (1, -1)
    assert np.isnan(few["low"])


def test_the_gain_of_each_seed_is_over_no_mixing_with_that_seed(runs):
    each = gains_by_seed(regime_scores(runs))
    long = each[(each["per_class"] == 20) & (each["epochs"] == 20)]
    assert long["seed"].tolist() == [0, 1, 2]
    assert long["difference"].tolist() == [mixed + 1 - plain for plain, mixed in zip(PLAIN, MIXED, strict=True)]
    assert set(each["method"]) == {"mixup"}
    assert (
        each.groupby(["per_class", "epochs"])["difference"].mean().tolist()
        == gains(regime_scores(runs))["difference"].tolist()
    )


def test_gains_are_drawn_by_regime_with_a_dot_a_seed(runs):
    values = regime_scores(runs)
    found, each = gains(values), gains_by_seed(values)
    figure = gain_curves(found[found["per_class"] == 20], "epochs", "epochs", each[each["per_class"] == 20])
    dots = [line for line in figure.axes[0].get_lines() if line.get_marker() == "."]
    assert [len(line.get_ydata()) for line in dots] == [6]
    axis = figure.axes[0]
    assert axis.get_ylabel() == "gain over no mixing (points)"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["10", "20"]
    line = axis.get_lines()[-1]
    assert line.get_ydata().tolist() == found.loc[found["per_class"] == 20, "difference"].tolist()
    nothing = pd.DataFrame(columns=values.columns)
    assert gains(nothing).empty
    assert gains_by_seed(nothing).empty


def test_lines_join_means_over_the_seeds_of_all_regimes_alone(runs):
    values = regime_scores(runs)
    values = values[(values["per_class"] == 20) & ~((values["epochs"] == 10) & (values["seed"] > 0))]
    axis = gain_curves(gains(values), "epochs", "epochs", gains_by_seed(values)).axes[0]
    line = axis.get_lines()[-1]
    first = gains_by_seed(values).query("seed == 0")["difference"].tolist()
    assert len(first) == 2
    assert line.get_ydata().tolist() == first


def test_lines_stay_within_one_precision_and_beside_bfloat16_float32_is_hollow(runs, tmp_path):
    values = regime_scores(runs).query("per_class == 20")
    here = values[values["epochs"] == 20].assign(precision="bfloat16", top1=lambda rows: rows["top1"] + rows["seed"])
    values = pd.concat([values, here[here["seed"] == 0]])
    axis = gain_curves(gains(values), "epochs", "epochs", gains_by_seed(values)).axes[0]
    lines = [line for line in axis.get_lines() if line.get_alpha() == 0.7 and len(line.get_xdata())]
    assert [(line.get_linestyle(), len(line.get_xdata())) for line in lines] == [("--", 2), ("-", 1)]
    dots = [line for line in axis.get_lines() if line.get_marker() == "."]
    assert [line.get_fillstyle() for line in dots] == ["none", "full"]
    named = [text.get_text() for text in axis.get_legend().get_texts()]
    assert named == ["mixup", "bfloat16", "float32"]


def test_precisions_are_regimes_of_their_own_and_the_main_one_has_most_runs(runs, tmp_path):
    common = {"epochs": 20, "seed": 0, "precision": "bfloat16"}
    other = [("vanilla", 40.0), ("mixup", 47.0), ("cutmix", 41.0)]
    runs += [make_run(tmp_path, top, DATASET | {"n_train": 40}, method=name, **common) for name, top in other]
    values = regime_scores(runs)
    found = gains(values).query("per_class == 20 and epochs == 20").set_index(["precision", "method"])["difference"]
    assert found.loc["bfloat16"].to_dict() == {"mixup": 7, "cutmix": 1}
    assert found.loc["float32"].to_dict() == {"mixup": pytest.approx(np.mean(MIXED) + 1 - np.mean(PLAIN))}
    main = main_regime(values)
    assert set(main["precision"]) == {"float32"}, "three seeds of two methods are more than one seed of three"
    assert set(main["epochs"]) == {20}


def test_regimes_of_equal_steps_have_other_images_and_something_to_compare(runs, tmp_path):
    few = DATASET | {"n_train": 20, "label": DATASET["label"]}
    common = {"epochs": 40, "seed": 0, "per_class": 10}
    runs += [make_run(tmp_path, top, few, method=name, **common) for name, top in (("vanilla", 20.0), ("mixup", 26.0))]
    runs.append(make_run(tmp_path, 9.0, DATASET | {"n_train": 8}, method="mixup", epochs=100, per_class=4))  # alone
    half = {"epochs": 50, "per_class": 8, "batch_size": 7}  # as many images, not as many steps
    runs += [make_run(tmp_path, 9.0, DATASET | {"n_train": 16}, method=name, **half) for name in ("vanilla", "mixup")]
    values = regime_scores(runs)
    (part,) = equal_steps(values, main_regime(values))
    assert set(part["per_class"]) == {10}
    assert set(part["label"]) == {"vanilla", "mixup"}
    (gained,) = gains(part)["difference"]
    assert gained == 6


def test_robustness_lists_what_was_evaluated(runs):
    assert regime_robustness(runs).empty
    runs[0].write_metrics("calibration", "student", {"value": {"ece": 3.5}, "n_images": 10})
    (row,) = regime_robustness(runs).to_dict("records")
    assert (row["run"], row["role"], row["ece"]) == (runs[0].id, "student", 3.5)
    assert np.isnan(row["corruption_top1"])


def test_the_table_of_a_regime_averages_seeds_and_says_what_was_measured(runs):
    values = regime_scores(runs).query("rule == 'last'")
    one = [run for run in runs if run.config.method == "mixup" and run.config.epochs == 20]
    for run, ece in zip(one, (3.0, 5.0, 7.0), strict=True):
        run.write_metrics("calibration", "student", {"value": {"ece": ece}, "n_images": 10})
    one[0].write_metrics("corruption", "teacher", {"value": {"top1": 31.0}, "n_images": 6})
    table = regime_table(main_regime(values), regime_robustness(runs)).set_index("method")
    assert table["seeds"].to_dict() == {"mixup": 3, "vanilla": 3}
    assert table.at["mixup", "top-1, student"] == pytest.approx(np.mean(MIXED) + 1)
    assert (table.at["mixup", "ECE, student"], table.at["mixup", "15 corruptions, teacher"]) == (5, 31)
    assert table.at["mixup", "corrupted images"] == 6
    assert table.loc["vanilla", ["ECE, student", "corrupted images"]].isna().all()


def test_two_comparisons_in_one_precision_are_both_kept(runs, tmp_path):
    common = {"epochs": 20, "seed": 0, "batch_size": 25}
    for name, top in (("vanilla", 40.0), ("mixup", 47.0)):
        runs.append(make_run(tmp_path, top, DATASET | {"n_train": 40}, method=name, **common))
    found = gains(regime_scores(runs))
    assert len(found.query("per_class == 20 and epochs == 20")) == 2


def test_a_gain_over_a_baseline_of_two_settings_is_refused(runs):
    values = regime_scores(runs)
    again = values[values["method"] == "vanilla"].assign(label="vanilla, lr 0.01", run="other")
    with pytest.raises(UserError, match="vanilla was trained in 2 ways"):
        gains(pd.concat([values, again]))


def test_labels_in_a_regime_tell_only_the_ways_of_one_method(runs, tmp_path):
    common = {"epochs": 20, "seed": 0, "precision": "bfloat16"}
    for name, options in (("vanilla", {}), ("mixup", {"alpha": 0.2}), ("mixup", {"alpha": 2.0})):
        runs.append(make_run(tmp_path, 50.0, DATASET | {"n_train": 40}, method=name, options=options, **common))
    values = regime_scores(runs)
    main = main_regime(values)
    assert set(main["label"]) == {"vanilla", "mixup"}
    (other,) = other_precisions(values, main)
    assert set(other["precision"]) == {"bfloat16"}
    assert other.loc[other["method"] == "mixup", "label"].nunique() == 2
    assert set(other.loc[other["method"] == "vanilla", "label"]) == {"vanilla"}


def test_of_one_regime_only_runs_that_may_be_compared_are_shown(runs, tmp_path):
    for name in ("vanilla", "mixup"):
        runs.append(make_run(tmp_path, 90.0, DATASET | {"n_train": 40}, method=name, epochs=20, seed=0, width=8))
    main = main_regime(regime_scores(runs))
    assert main["comparable_key"].nunique() == 1
    assert main["run"].nunique() == 6


def test_corruptions_of_other_images_are_not_averaged_and_a_run_found_twice_counts_once(runs):
    values = regime_scores(runs).query("rule == 'last'")
    one = [run for run in runs if run.config.method == "mixup" and run.config.epochs == 20]
    for run, top, n in zip(one, (60.0, 62.0, 10.0), (100, 100, 10), strict=True):
        run.write_metrics("corruption", "student", {"value": {"top1": top}, "n_images": n})
    table = regime_table(main_regime(values), regime_robustness([*runs, *one])).set_index("method")
    assert (table.at["mixup", "15 corruptions, student"], table.at["mixup", "corrupted images"]) == (61, 100)
    assert table.at["mixup", "top-1, student"] == pytest.approx(np.mean(MIXED) + 1)


def test_a_label_that_names_two_runs_of_one_seed_is_refused(runs):
    values = regime_scores(runs)
    again = values[values["method"] == "mixup"].assign(run="other", top1=1.0)
    with pytest.raises(UserError, match="mixup, epochs 10 has two runs of seed 0 in one regime"):
        gains(pd.concat([values, again]))


def test_no_runs_have_no_scores():
    assert regime_scores([]).empty
