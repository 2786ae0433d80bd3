"""Robustness results as tables and figures: what is averaged, what is compared, and what is drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from adautomix import figures
from adautomix.config import TrainConfig
from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4
from adautomix.paper import table3
from adautomix.results.robustness import (
    GROUPS,
    corruption_cells,
    curves,
    differences,
    most_alike,
    reliability,
    table3_values,
    table3_wide,
)
from adautomix.results.statistics import paired_t
from adautomix.runs.run import create, run_for
from adautomix.utils.errors import UserError

DATASET = {"label": "digits", "classes": ["0", "1"], "fingerprint": "f"}
BINS = [
    {"count": 0},
    {"count": 30, "accuracy": 0.2, "confidence": 0.4},
    {"count": 10, "accuracy": 1, "confidence": 0.9},
]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def stored(tmp_path, method, seed, top1, settings=None, n=9, **more):
    """Return a finished run that holds results in closed form."""
    config = TrainConfig(method=method, seed=seed, options={}, **settings or {})
    run = run_for(tmp_path, config, DATASET)
    create(run, config, DATASET)
    run.finish()
    table = {name: [top1 - s for s in range(5)] for name in CORRUPTIONS15 + CORRUPTIONS_EXTRA4}
    values = {
        "accuracy": {"top1": top1},
        "corruption": {"top1": top1 - 2, "released_top1": top1 - 1, "table": table},
        "fgsm": {"error": 100 - top1, "curve": [{"eps": e, "top1": top1 - 100 * e, "n": 9} for e in (0.0, 0.1)]},
        "released": {"fgsm_error": 50.0, "occlusion": [{"ratio": 0.0, "top1": top1, "n": 9}]},
        "calibration": {"ece": 12.0, "mce": 20.0, "released_ece": 3.0, "bins": BINS},
    } | more
    for name, value in values.items():
        if value is not None:
            run.write_metrics(name, "student", {"value": value, "n_images": n})
    return run


@pytest.fixture
def runs(tmp_path):
    tops = {"vanilla": (60.0, 62.0, 61.0), "mixup": (64.0, 64.0, 66.0)}
    return [stored(tmp_path, method, seed, top) for method, row in tops.items() for seed, top in enumerate(row)]


def test_the_groups_hold_every_corruption_once():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(CORRUPTIONS15 + CORRUPTIONS_EXTRA4)
    assert set(GROUPS["only released"]) == set(CORRUPTIONS_EXTRA4)


def test_table_3_has_a_column_a_value_and_protocol_and_means_over_seeds(runs):
    wide = table3_wide(table3_values(runs)).set_index("label")
    assert list(wide.columns[-5:]) == [
        "clean, standard",
        "corrupted, standard",
        "corrupted, released",
        "FGSM error, standard",
        "FGSM error, released",
    ]
    assert wide.loc["vanilla", "clean, standard"] == "61 ± 1"
    assert wide.loc["mixup", "corrupted, released"] == "64 ± 1"
    assert wide.loc["mixup", "FGSM error, released"] == "50 ± 0"
    assert wide.loc["mixup", "seeds"] == 3
    one = table3_wide(table3_values(runs[:1]))
    assert one["clean, standard"].item() == "60 [30, 84]"  # of nine images


def test_runs_without_a_result_are_left_out(tmp_path):
    whole, part = stored(tmp_path, "vanilla", 0, 60.0), stored(tmp_path, "mixup", 0, 50.0, fgsm=None, corruption=None)
    values = table3_values([whole, part])
    assert set(values.loc[values["column"] == "corrupted", "method"]) == {"vanilla"}
    assert set(curves([whole, part], "fgsm")["method"]) == {"vanilla"}
    assert curves([part], "fgsm").empty
    assert corruption_cells([part]).empty


def test_differences_are_paired_by_seed_and_need_three(runs):
    found = differences(table3_values(runs))
    clean = found[(found["column"] == "clean")].iloc[0]
    wanted = paired_t(pd.Series([64.0, 64.0, 66.0]), pd.Series([60.0, 62.0, 61.0]))
    assert (clean["label"], clean["n"]) == ("mixup", 3)
    assert (clean["difference"], clean["low"], clean["high"]) == pytest.approx(
        (wanted["difference"], wanted["low"], wanted["high"])
    )
    assert differences(table3_values(runs[:5])).empty
    assert differences(table3_values(runs), baseline="cutmix").empty


def test_reliability_has_a_sign_where_ece_has_none(runs):
    fits = reliability(runs)
    assert fits["overconfidence"].iloc[0] == pytest.approx(100 * (30 * 0.2 - 10 * 0.1) / 40)
    assert set(fits["released_ece"]) == {3.0}


def test_the_papers_table_3_has_its_two_whole_rows():
    paper = table3()
    assert paper.loc["adautomix"].tolist() == [81.55, 51.44, 75.66]
    assert paper.loc["automix"].tolist() == [80.02, 50.75, 82.67]
    assert paper["fgsm_error"].isna().sum() == 3


def test_a_reliability_diagram_draws_accuracy_gaps_and_counts_and_leaves_empty_bins_empty():
    axis = figures.reliability_diagram(BINS)
    bars = [
        (round(p.get_x() + p.get_width() / 2, 3), p.get_y(), round(p.get_height(), 3), p.get_fill())
        for p in axis.patches
    ]
    first = [(0.5, 0, 0.2, True), (0.5, 0.2, 0.2, True), (0.5, 0, 0.2, False)]  # the last one outlines the accuracy
    assert bars == [*first, (0.833, 0, 1, True), (0.833, 0.9, 0.1, True), (0.833, 0, 1, False)]
    assert axis.patches[1].get_facecolor() != axis.patches[3].get_facecolor()  # too sure, too modest
    assert [p.get_height() for p in axis.child_axes[0].patches] == pytest.approx([0, 0.75, 0.25])
    assert len(figures.reliability_grid({"a": BINS, "b": BINS}).axes) == 2


def test_robustness_curves_have_a_line_a_label_and_a_panel_a_network(runs):
    points = curves(runs, "fgsm")
    figure = figures.robustness_curves(points, x="eps", name="eps", guess=50)
    assert [axis.get_title() for axis in figure.axes] == ["student"]
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2 and line.get_xdata()[1] == 0.1]
    assert sorted(line.get_ydata()[0] for line in lines) == pytest.approx([61, 64 + 2 / 3])
    two = pd.concat(
        points.assign(backbone=name, label=points["method"] + f", backbone {name}") for name in ("cnn", "vit")
    )
    figure = figures.robustness_curves(two, x="eps", name="eps", by="backbone")
    assert [axis.get_title() for axis in figure.axes] == ["cnn", "vit"]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["vanilla", "mixup"]


def test_the_heat_map_holds_the_mean_over_severities_and_seeds_in_the_usual_order(runs):
    figure = figures.corruption_heatmap(corruption_cells(runs))
    drawn = figure.axes[0].collections[0].get_array().reshape(2, 19)
    np.testing.assert_allclose(drawn, [[59.0] * 19, [64 + 2 / 3 - 2] * 19])
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert names[0] == "gaussian noise"
    assert names[-1] == "saturate"


def test_protocols_and_both_eces_are_drawn(runs):
    figure = figures.protocol_dots(table3_values(runs))
    assert [axis.get_xlabel() for axis in figure.axes] == ["corrupted images, accuracy (%)", "FGSM error (%)"]
    filled, hollow = figure.axes[1].get_lines()[:2]
    np.testing.assert_allclose(filled.get_xdata(), [39, 35 + 1 / 3])
    np.testing.assert_allclose(hollow.get_xdata(), [50, 50])
    scatter = figures.ece_scatter(reliability(runs)).axes[0].collections[0]
    np.testing.assert_allclose(scatter.get_offsets(), [[12, 3]] * 6)


def test_labels_of_one_method_are_shades_of_its_colour():
    named = pd.DataFrame({"method": ["mixup", "mixup", "cutmix"], "label": ["mixup, a", "mixup, b", "cutmix"]})
    colors = figures.label_colors(named)
    own = figures.method_colors()
    assert colors["cutmix"] == pytest.approx(own["cutmix"])
    assert colors["mixup, a"] == pytest.approx(own["mixup"])
    np.testing.assert_allclose(colors["mixup, b"], 0.45 * np.array(own["mixup"]))


def test_results_measured_otherwise_are_neither_averaged_nor_compared(runs):
    odd = runs[-1]
    stored = odd.metrics("corruption", "student")
    odd.write_metrics("corruption", "student", stored | {"settings": {"source": "published"}})
    values = table3_values(runs)
    found = values[values["label"].eq(odd.config.method) & values["column"].eq("corrupted")]
    assert found["measured"].nunique() == 2
    wide, whole = table3_wide(values), table3_wide(values[values["run"] != odd.id])
    assert (
        wide.set_index("label").at["mixup", "corrupted, standard"]
        == (whole.set_index("label").at["mixup", "corrupted, standard"])
    )
    assert set(differences(values)["column"]) == {"clean", "FGSM error"}
    kept = most_alike(values)
    assert len(kept) == len(values) - 2  # corrupted, by both protocols
    assert odd.id not in set(kept.loc[kept["column"] == "corrupted", "run"])


def test_dots_of_two_protocols_need_a_column_that_has_both(runs):
    values = table3_values(runs)
    with pytest.raises(UserError, match="no column was measured by both protocols"):
        figures.protocol_dots(values[values["protocol"] == "standard"])
    released = values[values["protocol"] == "released"].assign(role="teacher")
    assert figures.protocol_dots(pd.concat([values, released])).axes


def test_other_columns_may_have_to_agree_and_one_that_is_not_there_is_told():
    rows = [
        {"data": "d", "backbone": "b", "column": "top-1", "protocol": "last", "role": "student", "label": label}
        | {"seed": seed, "value": value + seed, "key": key}
        for seed in range(3)
        for label, value, key in (("vanilla", 50.0, "a"), ("mixup", 52.0, "a"), ("cutmix", 60.0, "b"))
    ]
    found = differences(pd.DataFrame(rows), alike=["key"])
    assert found["label"].tolist() == ["mixup"]
    assert found["difference"].tolist() == [2.0]
    with pytest.raises(KeyError, match="n_images"):
        differences(pd.DataFrame(rows))


def test_trainings_of_other_lengths_are_not_subtracted(runs, tmp_path):
    short = [stored(tmp_path, "cutmix", seed, 50.0 + seed, {"epochs": 2}) for seed in range(3)]
    assert set(differences(table3_values(runs + short))["label"]) == {"mixup"}


def test_curves_and_cells_leave_out_a_seed_that_saw_other_images(tmp_path):
    seeds = [stored(tmp_path, "mixup", seed, 60.0) for seed in (0, 1)]
    odd = stored(tmp_path, "mixup", 2, 20.0, n=2)
    for frame in (curves([*seeds, odd], "fgsm"), corruption_cells([*seeds, odd]), reliability([*seeds, odd])):
        assert set(frame["run"]) == {run.id for run in seeds}
        assert {"n_images", "measured", "comparable_key"}.isdisjoint(frame.columns)
