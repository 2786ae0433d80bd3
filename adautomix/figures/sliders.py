"""A figure for many values of a setting: still ones side by side, and sliders where somebody can move them.

A cell that runs cannot know whether a browser is looking, and a widget shown to nobody stays in the notebook as a line
of text. So the still figure is always drawn, and the sliders come when a front-end has
answered. JupyterLab answers as soon as the cell has run; papermill and nbconvert never do.
"""

import importlib.util
import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.runs.progress import watched
from adautomix.utils.errors import UserError

Draw = Callable[..., None]
"""draw(figure, **values) draws into an empty matplotlib Figure or SubFigure, for one value of each choice.

Sliders call it after later cells have run: no later cell may give another meaning to a name it reads.
"""

SYMBOLS = {"lam": "λ", "beta": "β", "alpha": "α"}
HERE = "*Run this notebook in JupyterLab, and here are sliders for {names}: the same figure, larger, at more values.*"
MOST = 4
"""Still figures side by side: of more values, these many are drawn, evenly chosen."""
LARGER = 1.5
"""The figure under the sliders, relative to one of the still ones."""


def explore(draw: Draw, size: tuple[float, float] = (2.2, 2.4), **choices: Sequence[Any]) -> None:
    """Show a still figure for the values of one or two settings, and below it, in JupyterLab, sliders over all of them.

    Args:
        draw: see `Draw`; called with one value of every choice by name. It should take less than 0.3 s.
        size: of one still figure, in inches.
        choices: a name, and its values: the first runs from left to right, the second from top to bottom.
    Raises: UserError unless there are one or two choices.
    """
    from IPython.display import Markdown, display

    display(still := small_multiples(draw, size, **choices))
    plt.close(still)
    place = display(Markdown(HERE.format(names=" and ".join(map(symbol, choices)))), display_id=True)
    if watched() and importlib.util.find_spec("ipywidgets"):
        when_answered(lambda: place.update(sliders(draw, size, **choices)))


def small_multiples(draw: Draw, size: tuple[float, float] = (2.2, 2.4), **choices: Sequence[Any]) -> Figure:
    """Return one figure with a panel for each combination of values, at most four of each choice."""
    if not 1 <= len(choices) <= 2:
        raise UserError(f"one or two choices can be laid out side by side, got {len(choices)}: {', '.join(choices)}")
    shown = {name: few(values) for name, values in choices.items()}
    columns, rows = (len(values) for values in (*shown.values(), [None])[:2])
    figure = plt.figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    panels = figure.subfigures(rows, columns, squeeze=False)
    names, values = list(shown), list(shown.values())[::-1]  # the first choice changes fastest
    for panel, combination in zip(panels.flat, itertools.product(*values), strict=True):
        chosen = dict(zip(names, combination[::-1], strict=True))
        draw(panel, **chosen)
        panel.suptitle(", ".join(f"{symbol(name)} = {text(value)}" for name, value in chosen.items()), fontsize=9)
    return figure


def sliders(draw: Draw, size: tuple[float, float] = (2.2, 2.4), **choices: Sequence[Any]) -> Any:
    """Return a widget: a control for each choice above the figure for what is chosen, drawn again at every change.

    The figure is half as large again as in `small_multiples`. Needs ipywidgets.
    """
    import ipywidgets

    controls = {name: control(name, values) for name, values in choices.items()}
    picture = ipywidgets.Image(format="png", layout={"align_self": "flex-start"})  # else stretched to the page's width

    def redraw(_: Any = None) -> None:
        picture.value = png(draw, size, **{name: one.value for name, one in controls.items()})

    for one in controls.values():
        one.observe(redraw, "value")
    redraw()
    return ipywidgets.VBox([ipywidgets.HBox(list(controls.values())), picture])


def control(name: str, values: Sequence[Any]) -> Any:
    """Return a widget to choose one of the values: a slider for more than three, else buttons."""
    import ipywidgets

    named = {"options": [(text(value), value) for value in values], "description": symbol(name)}
    if len(values) > 3:
        return ipywidgets.SelectionSlider(**named, value=values[len(values) // 2])
    return ipywidgets.ToggleButtons(**named, value=values[0], style={"button_width": "auto"})


def png(draw: Draw, size: tuple[float, float], **values: Any) -> bytes:
    """Return the figure for one value of each choice as a PNG, always of the same size in px."""
    figure = Figure(figsize=(size[0] * LARGER, size[1] * LARGER), layout="constrained")
    draw(figure, **values)
    file = io.BytesIO()
    with plt.rc_context({"savefig.bbox": None}):  # "tight" would make the picture jump from value to value
        figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def when_answered(act: Callable[[], None]) -> None:
    """Call `act` once a front-end has answered; never, if none is there.

    Jupyter's protocol: who is sent a comm of a kind it does not know must close it. Front-ends do, nbclient does not.
    """
    from comm import create_comm

    create_comm(target_name="adautomix.explore").on_close(lambda message: act())


def few(values: Sequence[Any], most: int = MOST) -> list[Any]:
    """Return at most that many of the values, the first, the last, and some evenly between them."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[place] for place in places]


def symbol(name: str) -> str:
    """Return the name of a choice as it is written in equations."""
    return SYMBOLS.get(name, name)


def text(value: Any) -> str:
    """Return a value in as few digits as tell it apart."""
    return f"{value:.2g}" if isinstance(value, (int, float, np.number)) else str(value)


def paint(axes: Sequence[Axes], pictures: Sequence[Any], titles: Sequence[str]) -> None:
    """Draw images [3,H,W] and masks [H,W], both in [0,1], one in each of the axes, without ticks."""
    for axis, picture, title in zip(axes, map(np.asarray, pictures), titles, strict=True):
        image = np.clip(picture.transpose(1, 2, 0) if picture.ndim == 3 else picture, 0, 1)
        axis.imshow(image, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=7, loc="center")
        axis.axis("off")
