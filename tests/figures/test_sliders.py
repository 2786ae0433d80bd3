"""Explorables: the still figure, the sliders, and when each of them is shown."""

import io
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from adautomix.figures import sliders
from adautomix.utils.errors import UserError

LAMS = [k / 20 for k in range(21)]
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL = textwrap.dedent("""
    from adautomix.figures import explore
    def draw(figure, lam, N):
        figure.subplots().plot([0, lam], [0, N])
    explore(draw, lam=[0.2, 0.4, 0.6, 0.8], N=(2, 3))
""")


@pytest.fixture
def drawn():
    """Return a draw that writes down what it was called with, and those calls."""
    calls = []

    def draw(figure, lam, N):
        calls.append((round(lam, 2), N))
        figure.subplots().imshow(np.full((4, 4), lam), vmin=0, vmax=1)
        figure.supylabel("a label\n" * int(4 * lam))  # of another size at every value

    yield draw, calls
    plt.close("all")


def pixels(box):
    return plt.imread(io.BytesIO(box.result.data), format="png")


def test_the_still_figure_has_a_panel_for_every_combination_the_first_choice_from_left_to_right(drawn):
    draw, calls = drawn
    figure = sliders.small_multiples(draw, (2, 2), lam=LAMS, N=(2, 3))
    assert calls == [(lam, n) for n in (2, 3) for lam in (0, 0.35, 0.65, 1)]
    titles = [panel.get_suptitle() for panel in figure.subfigs]
    assert titles[0] == "λ = 0, N = 2"
    assert titles[-1] == "λ = 1, N = 3"


def test_all_panels_share_one_legend(drawn):
    def draw(figure, lam, N):
        figure.subplots().plot([0, lam], [0, N], label="a line")

    figure = sliders.small_multiples(draw, (2, 2), legend=True, lam=LAMS, N=(2, 3))
    assert [text.get_text() for legend in figure.legends for text in legend.get_texts()] == ["a line"]
    assert not any(panel.legends for panel in figure.subfigs)
    plt.close(figure)


def test_one_choice_is_one_row_and_three_are_refused(drawn):
    draw, calls = drawn
    sliders.small_multiples(lambda figure, lam: draw(figure, lam, 2), (2, 2), lam=[0.1, 0.9])
    assert calls == [(0.1, 2), (0.9, 2)]
    with pytest.raises(UserError, match="one or two choices"):
        sliders.small_multiples(draw, (2, 2), a=[1], b=[2], c=[3])


def test_the_still_figure_can_show_other_values_than_four_evenly_chosen_ones(drawn):
    draw, calls = drawn
    sliders.explore(draw, (2, 2), {"lam": (0.3, 0.7)}, lam=LAMS, N=(2, 3))
    assert calls == [(0.3, 2), (0.7, 2), (0.3, 3), (0.7, 3)]


def test_moving_a_slider_draws_the_figure_for_its_value_in_the_same_size(drawn):
    draw, calls = drawn
    with plt.rc_context({"savefig.bbox": "tight"}):
        box = sliders.sliders(draw, (2, 2), lam=LAMS, N=(2, 3))
        slider, buttons, _ = box.children
        assert isinstance(slider, ipywidgets.SelectionSlider)
        assert isinstance(buttons, ipywidgets.ToggleButtons)
        assert slider.description == "λ"
        before = pixels(box)
        slider.value, buttons.value = LAMS[-1], 2
        assert calls == [(0.5, 3), (1, 3), (1, 2)]
        after = pixels(box)
    assert after.shape == before.shape
    assert not np.array_equal(after, before)


@pytest.mark.slow
def test_the_sliders_come_when_a_front_end_closes_the_unknown_comm_and_not_before():
    """A kernel, and this test as its front-end: it answers as JupyterLab does."""
    manager, client = start_new_kernel()
    try:
        messages = []
        client.execute_interactive(CELL, output_hook=messages.append, timeout=60)
        shown = [m["content"]["data"] for m in messages if m["msg_type"] == "display_data"]
        assert ["image/png" in data for data in shown] == [True, False]
        assert "sliders for λ and N" in shown[1]["text/markdown"]
        assert not any(WIDGET in data for data in shown)
        (knock,) = [m["content"]["comm_id"] for m in messages if m["msg_type"] == "comm_open"]
        close = client.session.msg("comm_close", {"comm_id": knock, "data": {}})
        client.shell_channel.send(close)
        update = next(m for m in iter(lambda: client.get_iopub_msg(60), None) if m["msg_type"] == "update_display_data")
        assert WIDGET in update["content"]["data"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["papermill", "nbconvert"])
def test_a_notebook_that_runs_by_itself_keeps_the_still_figure_and_no_widget(tmp_path, tool):
    notebook, out = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    write_notebook(notebook)
    ways = {"papermill": [notebook, out, "-k", "python3"]}
    ways |= {"nbconvert": ["--execute", "--to", "notebook", "--output", out, notebook]}
    command = [sys.executable, "-m", tool, *map(str, ways[tool])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    executed = json.loads(out.read_text())
    kinds = [set(output["data"]) for cell in executed["cells"] for output in cell["outputs"]]
    assert [kind - {"text/plain"} for kind in kinds] == [{"image/png"}, {"text/markdown"}]
    assert "widgets" not in executed["metadata"]


def write_notebook(path: Path) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": CELL, "outputs": [], "execution_count": None}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
