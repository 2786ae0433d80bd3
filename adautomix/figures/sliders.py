"""A figure for many values of a setting: still ones side by side, and sliders where somebody can move them.

papermill and nbconvert keep a widget as a line of text. So the still figure is always drawn, and sliders come when a
front-end has answered: JupyterLab does as soon as the cell has run, those never do.
"""

import importlib.util
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from adautomix.utils.errors import UserError
from adautomix.utils.progress import watched

Draw = Callable[..., None]
SYMBOLS = {"lam": "λ", "beta": "β", "alpha": "α"}
HERE = "*Run this notebook in JupyterLab, and here are sliders for {}: the same figure, larger, at more values.*"


def explore(
    draw: Draw,
    size: tuple[float, float] = (2.2, 2.4),
    still: Mapping[str, Sequence[Any]] | None = None,
    *,
    legend: bool = False,
    **choices: Sequence[Any],
) -> None:
    """Show a still figure for the values of one or two settings, and below it, in JupyterLab, sliders over all of them.

    Args:
        draw: draw(figure, **values) draws into an empty Figure or SubFigure, in less than 0.3 s, for one value of every
            choice. Sliders call it after later cells have run: none may give another meaning to a name it reads.
        size: of one still figure, in inches.
        still: values of a choice that the still figure shows; by default four, evenly chosen.
        legend: one below the whole figure, of what has a label in the first axes.
        choices: a name, and its values: the first runs from left to right, the second from top to bottom.
    Raises: UserError unless there are one or two choices.
    """
    from IPython.display import Markdown, display

    display(drawn := small_multiples(draw, size, legend=legend, **choices | dict(still or {})))
    plt.close(drawn)
    place = display(Markdown(HERE.format(" and ".join(SYMBOLS.get(k, k) for k in choices))), display_id=True)
    if watched() and importlib.util.find_spec("ipywidgets"):
        from comm import create_comm

        # Jupyter's protocol: who is sent a comm of a kind it does not know must close it. Nobody there, no answer.
        widget = partial(sliders, draw, size, legend=legend, **choices)
        create_comm(target_name="adautomix").on_close(lambda _: place.update(widget()))


def small_multiples(draw: Draw, size: tuple[float, float], *, legend: bool = False, **choices: Sequence[Any]) -> Figure:
    """Return one figure with a panel for each combination of values: of more than four, four evenly chosen ones."""
    if not 1 <= len(choices) <= 2:
        raise UserError(f"one or two choices can be laid out side by side, got {len(choices)}: {', '.join(choices)}")
    shown = [[v[i] for i in np.linspace(0, len(v) - 1, min(4, len(v))).round().astype(int)] for v in choices.values()]
    columns, rows = (len(values) for values in (*shown, [None])[:2])
    figure = plt.figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    panels = figure.subfigures(rows, columns, squeeze=False)
    for panel, values in zip(panels.flat, itertools.product(*shown[::-1]), strict=True):  # the first changes fastest
        chosen = dict(zip(choices, values[::-1], strict=True))
        draw(panel, **chosen)
        panel.suptitle(", ".join(f"{SYMBOLS.get(k, k)} = {_text(v)}" for k, v in chosen.items()), fontsize=9)
    if legend:
        _name(figure)
    return figure


def _name(figure: Figure) -> None:
    look = {"fontsize": 8, "columnspacing": 1, "handlelength": 1, "frameon": False}
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, **look)


def sliders(draw: Draw, size: tuple[float, float], *, legend: bool = False, **choices: Sequence[Any]) -> Any:
    """Return a widget: a control for each choice above the figure for what is chosen, half as large again."""
    import ipywidgets
    from IPython.display import Image

    def show(**chosen: Any) -> Image:
        figure, file = Figure(figsize=(1.5 * size[0], 1.5 * size[1]), layout="constrained"), io.BytesIO()
        draw(figure, **chosen)
        if legend:
            _name(figure)
        with plt.rc_context({"savefig.bbox": None}):  # "tight" would make the picture jump from value to value
            figure.savefig(file, format="png", dpi=110)
        return Image(file.getvalue())

    controls = {}
    for name, values in choices.items():
        kind = ipywidgets.SelectionSlider if len(values) > 3 else ipywidgets.ToggleButtons
        options = [(_text(value), value) for value in values]
        controls[name] = kind(options=options, value=values[len(values) // 2], description=SYMBOLS.get(name, name))
    return ipywidgets.interactive(show, {"auto_display": True}, **controls)


def _text(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, (int, float, np.number)) else str(value)
