"""Pictures, legends and tables: what is drawn where, on which scale, and in which order."""

import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from adautomix import figures
from adautomix.figures import by_method, format_table, short_labels
from adautomix.figures.lines import GREY, line_colors
from adautomix.methods import METHODS, Mixed, Outside

BINS = [{"count": 2, "accuracy": 0.5, "confidence": 0.4}, {"count": 0}]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def drawn(figure):
    """Return the pictures of a grid, row by row, as arrays; None where a place is empty."""
    return [np.asarray(axis.get_images()[0].get_array()) if axis.get_images() else None for axis in figure.axes]


def test_a_grid_draws_images_and_maps_and_leaves_gaps_empty():
    image, mask = torch.rand(3, 4, 5), torch.rand(4, 5)
    figure = figures.picture_grid({"image": [image, None], "mask": [mask, 1 - mask]}, ["a", "b"])
    first, gap, _, left, right, _ = drawn(figure)[:6]
    np.testing.assert_allclose(first, image.permute(1, 2, 0))
    assert gap is None
    np.testing.assert_allclose(left, mask)
    np.testing.assert_allclose(right, 1 - mask)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["a", "b"]


def test_a_source_that_is_not_of_the_batch_has_a_column_before_its_method():
    pictures, old = torch.rand(3, 3, 4, 4), Outside(torch.rand(2, 3, 4, 4), torch.eye(2))
    both, mask = torch.tensor([[0, 1, 2], [1, 2, 0]]), torch.full((3, 2, 4, 4), 0.5)
    lam, targets = torch.full((3, 2), 0.5), torch.full((3, 2), 0.5)
    own = Mixed(torch.rand(3, 3, 4, 4), targets, lam, both, mask)
    past = Mixed(torch.rand(3, 3, 4, 4), targets, lam, torch.tensor([[0, 1, 2], [1, 0, 1]]), mask, {1: old})
    figure = figures.mixed_pictures(pictures, {"past": past, "own": own}, examples=1)
    titles = [axis.get_title(loc="center") for axis in figure.axes[:5]]
    assert titles == ["image 1", "image 2", "image 2\nbefore", "past", "own"]
    expected = [pictures[0], pictures[1], old.x[1], past.x[0], own.x[0]]
    for shown, wanted in zip(drawn(figure)[:5], expected, strict=True):
        assert np.array_equal(shown, wanted.numpy().transpose(1, 2, 0))


def test_a_row_of_maps_has_one_scale_its_own_or_the_given_one():
    maps = [torch.full((2, 2), 0.2), torch.full((2, 2), 0.6)]
    figure = figures.picture_grid({"free": maps, "given": maps}, limits={"given": (0, 1)})
    scales = [axis.get_images()[0].get_clim() for axis in figure.axes if axis.get_images()]
    assert scales[:2] == [pytest.approx((0.2, 0.6))] * 2
    assert scales[2:4] == [(0, 1)] * 2


def test_a_mark_is_drawn_on_its_picture_only():
    figure = figures.picture_grid({"a": [torch.rand(3, 4, 4)] * 2}, marks={("a", 1): (2, 3)})
    lines = [axis.get_lines() for axis in figure.axes[:2]]
    assert not lines[0]
    assert all(line.get_xydata().tolist() == [[2, 3]] for line in lines[1])


def test_pictures_are_painted_on_one_scale_without_ticks():
    _, axes = plt.subplots(1, 2)
    figures.paint(axes, [np.full((4, 4), 0.3), np.zeros((3, 4, 4))], ["mask", "mix"])
    mask, mix = (axis.get_images()[0] for axis in axes)
    assert mask.get_clim() == (0, 1)
    assert mix.get_array().shape == (4, 4, 3)
    assert [axis.get_title() for axis in axes] == ["mask", "mix"]


def test_a_row_of_images_has_no_empty_axes():
    figure = figures.image_row(torch.rand(5, 3, 4, 4), list("abcde"), columns=3)
    assert [axis.get_title() for axis in figure.axes] == list("abcde")


def test_drawing_needs_no_torch():
    code = "import sys; from adautomix import figures as f; [getattr(f, name) for name in f.__all__]"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)


def test_every_method_has_a_colour_of_its_own():
    colors = figures.method_colors()
    assert list(colors) == list(METHODS)
    assert len(set(colors.values())) == len(METHODS)


def named(*labels, backbone="resnet18", **values):
    methods = [label.partition(",")[0] for label in labels]
    return pd.DataFrame({"method": methods, "label": labels, "backbone": backbone, **values})


def test_a_backbone_that_all_rows_share_is_left_out_of_their_labels():
    one = named("mixup, backbone vit, alpha 1", backbone="vit")
    assert short_labels(one)["label"].tolist() == ["mixup, alpha 1"]
    two = pd.concat([one, named("mixup, backbone resnet18")])
    assert short_labels(two)["label"].tolist() == two["label"].tolist()
    assert short_labels(two, told=True)["label"].tolist() == ["mixup, alpha 1", "mixup"]


def test_rows_come_in_the_order_of_the_methods():
    rows = named("automix", "vanilla", "cutmix", data=["b", "b", "a"])
    assert by_method(rows)["label"].tolist() == ["vanilla", "cutmix", "automix"]
    assert by_method(rows, "data")["label"].tolist() == ["cutmix", "vanilla", "automix"]


def test_a_table_has_a_true_minus_left_text_and_dashes_for_gaps():
    frame = pd.DataFrame(
        {"data": ["CIFAR-100", "x"], "gain": [-1.036, np.nan], "low": ["[-1.95, 2]", None], "n": [3, 1]}
    )
    html = format_table(frame, digits={"gain": 1}).to_html()
    assert [text in html for text in ("CIFAR-100", ">−1.0<", ">[−1.95, 2]<", ">3<")] == [True] * 4
    assert html.count(">–<") == 2
    sides = re.findall(r"td\.col(\d) {\s+text-align: (\w+)", html)
    assert sides == [("0", "left"), ("1", "right"), ("2", "left"), ("3", "right")]


def test_columns_that_hold_one_value_stand_in_the_caption():
    frame = pd.DataFrame({"data": "digits", "backbone": ["a", "b"], "epochs": 8, "x": [1.0, 2.0]})
    html = format_table(frame, caption="ECE", once=("data", "backbone", "epochs")).to_html()
    assert "<caption>ECE: digits, epochs 8</caption>" in html
    assert [name in html for name in (">data<", ">backbone<", ">epochs<")] == [False, True, False]


@pytest.mark.parametrize("networks", [1, 2, 5])
def test_the_legend_of_reliability_diagrams_leaves_the_title_room_and_stays_in_the_figure(networks):
    figure = figures.reliability_grid({str(k): BINS for k in range(networks)})
    title = figure.suptitle("digits, test_vit, student, seed 0", x=0.01, ha="left", fontsize=9)
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert not legend.overlaps(title.get_window_extent())
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1


def test_rules_differ_in_shape_and_take_no_colour_of_a_method():
    given = {"median": 50.0, "last": 51.0, "validation": 52.0, "best test": 54.0}
    rows = pd.concat(named("mixup", rule=rule, top1=[top1], run="r", role="student") for rule, top1 in given.items())
    figure = figures.rule_offsets(rows)
    groups = figure.axes[0].collections
    assert [group.get_offsets()[0][0] for group in groups] == [4, 1, 2]
    assert len({group.get_paths()[0].vertices.shape for group in groups}) == 3
    for group in groups:
        red, green, blue, _ = group.get_facecolor()[0]
        assert red == green == blue


@pytest.mark.parametrize(("low", "bottom"), [(80.0, 70), (20.0, -1)])
def test_robustness_curves_far_above_guessing_are_enlarged(low, bottom):
    points = named("mixup", "mixup", eps=[0, 8], top1=[98.0, low], role="student")
    axis = figures.robustness_curves(points, x="eps", name="eps", guess=10).axes[0]
    assert axis.get_ylim()[0] > bottom
    assert any(set(line.get_ydata()) == {10} for line in axis.get_lines()) == (low < 50)


def test_figures_of_one_backbone_do_not_name_it_in_every_row():
    rows = named("mixup, backbone vit", backbone="vit", role="student", group="noise", corruption="fog", top1=[3.0])
    ticks = figures.corruption_heatmap(rows).axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["mixup"]


def test_the_legend_of_eces_names_no_columns():
    rows = named("mixup", "cutmix", ece=[1.0, 2.0], released_ece=[2.0, 1.0], role=["student", "teacher"])
    legend = figures.ece_scatter(rows).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["mixup", "cutmix", "student", "teacher"]


def test_a_heat_map_of_many_classes_is_no_wider_than_a_page():
    figure = figures.per_class_heatmap(pd.DataFrame(50.0, index=["mixup"], columns=[f"class {k}" for k in range(200)]))
    assert figure.get_figwidth() <= 20


def test_a_labels_colour_does_not_depend_on_the_order_of_rows():
    rows = named("adautomix, objective released", "adautomix, objective paper", "mixup")
    assert figures.label_colors(rows) == figures.label_colors(rows[::-1])
    assert list(figures.label_colors(rows)) == list(figures.label_colors(rows[::-1]))


def test_adautomix_as_released_has_its_own_colour_beside_other_objectives():
    rows = named("adautomix, objective paper", "adautomix, objective released", "adautomix, objective cooperative")
    colors = figures.label_colors(rows)
    assert colors["adautomix, objective released"] == pytest.approx(figures.method_colors()["adautomix"])


def test_every_method_can_be_seen_on_white():
    def linear(color):
        return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]  # of sRGB

    for name, color in figures.method_colors().items():
        red, green, blue = linear(color)
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) > 2.2, name  # contrast, as WCAG has it


def test_a_class_that_is_a_number_is_told_from_its_share():
    assert figures.label_text([0.3, 0.7], ["8", "cat"]) == '0.70 cat\n+ 0.30 "8"'


def test_of_many_lines_adautomix_keeps_its_colour_on_every_network_whatever_it_is_called_there():
    rows = [("resnet18", "adautomix", f"adautomix, objective {name}") for name in ("paper", "released")]
    rows += [("vit", "adautomix", "adautomix"), ("vit", "vanilla", "vanilla")]
    rows += [("resnet18", name, name) for name in ("vanilla", "mixup", "cutmix", "fmix", "resizemix")]
    colors = line_colors(pd.DataFrame(rows, columns=["backbone", "method", "label"]).assign(data="digits"))
    own = figures.method_colors()["adautomix"]
    assert colors["adautomix"] == colors["adautomix, objective released"] == own
    assert colors["mixup"] == GREY
    assert colors["adautomix, objective paper"] not in (own, GREY)


def test_objectives_differ_in_their_lines_and_the_released_one_is_named_once():
    labels = ["adautomix, objective released", "adautomix, objective paper", "vanilla"]
    rows = [named(*labels, backbone="cnn"), named("adautomix", "vanilla", backbone="vit")]
    points = pd.concat(part.assign(ratio=r, top1=90.0 - r) for r in (0, 50) for part in rows)
    axis = figures.robustness_curves(points, x="ratio", name="ratio", by="backbone").axes[-1]
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert sorted(texts) == ["adautomix, objective paper", "adautomix, objective released", "vanilla"]
    dashed = {handle.get_label(): handle.is_dashed() for handle in axis.get_legend().get_lines()}
    assert dashed == {text: "paper" in text for text in texts}


def test_of_many_lines_three_keep_their_colour_and_the_legend_counts_the_rest():
    methods = list(figures.method_colors())[:10]
    points = pd.DataFrame({"method": methods, "label": methods, "backbone": "resnet18", "role": "student", "data": "d"})
    points = pd.concat([points.assign(ratio=r, top1=90.0 - r) for r in (0, 50)])
    axis = figures.robustness_curves(points, x="ratio", name="ratio").axes[0]
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert sorted(texts) == ["7 others", "adautomix", "automix", "vanilla"]
    assert not axis.texts
    points.loc[points["label"] == "fmix", "top1"] += 5
    axis = figures.robustness_curves(points, x="ratio", name="ratio").axes[0]
    assert [text.get_text() for text in axis.texts] == ["fmix"]  # above all others, and grey
    few = points[points["method"].isin(methods[:4])]
    axis = figures.robustness_curves(few, x="ratio", name="ratio").axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == methods[:4]


def test_a_run_of_a_method_that_is_gone_is_grey_and_last():
    rows = pd.DataFrame({"method": ["stripes", "mixup", "vanilla"], "label": ["stripes", "mixup", "vanilla"]})
    colors = figures.label_colors(rows)
    assert list(colors) == ["vanilla", "mixup", "stripes"]
    assert colors["stripes"] == (0.5, 0.5, 0.5)


def test_a_name_with_dots_is_kept_whole(tmp_path):
    for role in ("student", "teacher"):
        figures.save(plt.figure(), tmp_path / f"36_resnet18.tv_in1k_{role}")
    names = {f"36_resnet18.tv_in1k_{role}{kind}" for role in ("student", "teacher") for kind in (".png", ".svg")}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_runs_that_are_compared_are_drawn_on_one_scale():
    epochs = pd.DataFrame({"epoch": [1, 2], "lr": [0.1, 0.05]})
    runs = {k: epochs.assign(student_top1=[top, top + 5], teacher_top1=top) for k, top in {"a": 10, "b": 50}.items()}
    own, shared = (figures.curves_and_rates(runs, one_scale=one).axes[:2] for one in (False, True))
    assert own[0].get_ylim()[1] < own[1].get_ylim()[0]
    assert shared[0].get_ylim() == shared[1].get_ylim() == (own[0].get_ylim()[0], own[1].get_ylim()[1])
