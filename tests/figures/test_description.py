"""Figures in words: what a description says of lines, bars, points, maps, pictures and diagrams."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from PIL import Image

from adautomix import figures
from adautomix.figures import describe
from adautomix.figures.description import MOST
from adautomix.figures.lines import GREY


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


HISTORY = pd.DataFrame(
    {"epoch": [0, 1, 2] * 2, "top1": [10.0, 20, 30, 40, 50, 61.5], "method": ["mixup"] * 3 + ["fmix"] * 3}
)


def test_a_figure_that_cannot_be_told_is_saved_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("adautomix.figures.description.describe", lambda figure: 1 / 0)
    with pytest.warns(UserWarning, match="could not be told in words .ZeroDivisionError"):
        figures.save(plt.figure(), tmp_path / "empty")
    assert (tmp_path / "empty.png").exists()


def test_lines_are_told_by_where_they_begin_and_end_and_axes_by_their_data():
    figure, axis = plt.subplots()
    sns.lineplot(HISTORY, x="epoch", y="top1", hue="method", ax=axis)
    axis.axhline(50)
    axis.set(title="Students", ylabel="top-1 (%)")
    assert describe(figure) == (
        "Students: epoch from 0 to 2, top-1 (%) from 10 to 61.5; mixup goes from 10 to 30, fmix goes from 40 to 61.5."
    )


def test_bars_are_told_by_name_and_height():
    figure, axis = plt.subplots()
    axis.barh(["mixup", "fmix"], [1, -2.5])
    axis.set_xlabel("gain")
    assert describe(figure) == "gain from −2.5 to 1; bars: mixup 1, fmix −2.5."


def test_points_are_counted_by_colour():
    figure, axis = plt.subplots()
    sns.scatterplot(HISTORY, x="epoch", y="top1", hue="method", ax=axis)
    assert describe(figure).endswith("points: mixup (3), fmix (3).")


def test_a_map_is_told_by_its_shape_and_range():
    figure, axis = plt.subplots()
    sns.heatmap(np.arange(6.0).reshape(2, 3), ax=axis)
    assert "a map of 2 rows and 3 columns, from 0 to 5" in describe(figure)


def test_pictures_are_told_by_their_titles_as_one():
    figure = figures.image_row([np.zeros((3, 4, 4))] * 2, ["0.70 cat", "a \n dollar $"])
    figure.suptitle("Two, $\\lambda$ = 1")
    assert describe(figure) == "Two, lambda = 1. 2 pictures: 0.70 cat, a dollar $."


def test_a_diagram_is_told_by_what_is_written_in_it():
    figure, axis = plt.subplots()
    axis.axis("off")
    axis.text(0, 0, "student $\\psi_w$")
    axis.text(0, 1, "teacher")
    assert describe(figure) == "A diagram: student psi_w, teacher."


def test_more_than_a_few_are_only_counted():
    figure, axes = plt.subplots(1, MOST + 2)
    for axis in axes:
        axis.plot([0, 1], [2, 3], label="a")
    assert describe(figure).endswith(" 2 more panels of that kind.")
    assert describe(figure).count("a goes from 2 to 3") == MOST


def test_a_figure_without_anything_is_called_empty():
    assert describe(plt.figure()) == "An empty figure."


def test_a_saved_figure_carries_its_description(tmp_path):
    figure, axis = plt.subplots()
    axis.plot([0, 1], [2, 3], label="a")
    figures.save(figure, tmp_path / "one")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.info["Description"] == describe(figure)
    assert describe(figure) in (tmp_path / "one.svg").read_text(encoding="utf-8")


def test_lines_with_names_of_their_own_are_told_before_a_collective_of_grey_ones():
    figure, axis = plt.subplots()
    for k in range(8):
        axis.plot([0, 1], [k, 10 + k], color=GREY, label="_grey" if k else "8 others")
    axis.plot([0, 1], [1, 30], color="tab:blue", label="adautomix")
    axis.legend()
    text = describe(figure)
    assert "adautomix goes from 1 to 30, 8 others, 8 lines, end between 10 and 17" in text
