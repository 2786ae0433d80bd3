"""A figure in words, from what is drawn in it: the alternative text of pictures, for who cannot see them."""

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

MOST = 6
"""Of further panels, lines, bars and titles only the number is told: a description is heard, and nobody can skim it."""

_NUMBER = re.compile(r"[-−+\d.,%eE×^{}\s½]*")


def describe(figure: Figure) -> str:
    """Return a figure in words: its title, and for each panel title, axes with their ranges, and what is drawn.

    Lines are told by where they begin and end, bars by their heights, pictures by their titles. Panels of pictures
    without axes are told as one. A diagram, whose words alone say little, has its own as the figure's label.
    """
    if own := figure.get_label():
        return own
    shown = [axis for axis in figure.axes if axis.get_visible() and not hasattr(axis, "_colorbar")]
    pictures = [axis for axis in shown if axis.images and not axis.axison]
    panels = [axis for axis in shown if axis not in pictures and (axis.has_data() or axis.texts)]
    titles = [_words(part.get_suptitle()) for part in (figure, *figure.subfigs)]
    parts = [f"{_several(titles)}." if any(titles) else "", _pictures(pictures)]
    parts += [_panel(axis, _names(axis, figure)) for axis in panels[:MOST]]
    parts += [f"{len(panels) - MOST} more panels of that kind."] if len(panels) > MOST else []
    return " ".join(part for part in parts if part) or "An empty figure."


def told(figure: Figure) -> str:
    """Return `describe(figure)`, or a word for one that it fails on: no figure is lost for want of its description."""
    try:
        return describe(figure)
    except Exception as error:
        warnings.warn(f"a figure could not be told in words ({type(error).__name__}: {error})", stacklevel=2)
        return "A figure."


def describe_outputs() -> None:
    """Give every figure that a notebook shows its description, as `alt` in the output's metadata; elsewhere nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    import matplotlib.pyplot as plt

    plt.switch_backend(plt.get_backend())  # a notebook's own sets the formatter when it is first used: before us
    formatter = shell.display_formatter.formatters["image/png"]
    draw = formatter.type_printers.get(Figure)
    if draw is None or getattr(draw, "describes", False):
        return

    def described(figure: Figure) -> Any:
        drawn = draw(figure)
        data, metadata = drawn if isinstance(drawn, tuple) else (drawn, {})
        return data if data is None else (data, metadata | {"alt": told(figure)})

    described.describes = True
    formatter.for_type(Figure, described)


def _pictures(axes: Sequence[Axes]) -> str:
    if not axes:
        return ""
    titles = [_title(axis) for axis in axes]
    count = "A picture" if len(axes) == 1 else f"{len(axes)} pictures"
    rows = {round(axis.get_position().y0, 2) for axis in axes}
    grid = f" in {len(rows)} rows" if len(rows) > 1 else ""
    return f"{count}{grid}{f': {_several(titles, 2 * MOST)}' if any(titles) else ''}."


def _title(axis: Axes) -> str:
    return next((_words(text) for place in ("left", "center", "right") if (text := axis.get_title(place))), "")


def _panel(axis: Axes, names: dict[str, str]) -> str:
    title = _title(axis)
    scales = [_axis(axis, letter) for letter in "xy"]
    drawn = [*_lines(axis, names), *_bars(axis, names), *_points(axis, names), *_maps(axis)]
    text = ""
    if not drawn:  # a diagram: what is written in it
        text = _several(dict.fromkeys(_words(written.get_text()) for written in axis.texts), 4 * MOST)
    head = f"{title}: " if title else "" if drawn or not text else "A diagram: "
    along = ", ".join(scale for scale in scales if scale)
    told = "; ".join([*([along] if along and drawn else []), *drawn, *([text] if text else [])])
    return f"{head}{told}." if told else ""


def _axis(axis: Axes, letter: str) -> str:
    """Return what an axis measures, and from where to where there are data; "" if it has names instead of numbers."""
    own = getattr(axis, f"{letter}axis")
    names = [_words(tick.get_text()) for tick in own.get_ticklabels() if tick.get_text()]
    if not axis.axison or not own.get_visible() or not all(_NUMBER.fullmatch(name) for name in names):
        return ""
    data = getattr(axis.dataLim, f"interval{letter}")
    low, high = sorted(data if np.isfinite(data).all() else getattr(axis, f"get_{letter}lim")())
    return f"{_words(own.get_label_text()) or letter} from {_number(low)} to {_number(high)}"


def _names(axis: Axes, figure: Figure) -> dict[str, str]:
    """Return what the legends, the axes' own or another's, call a colour."""
    own = [other.get_legend() for other in (axis, *figure.axes)]  # panels share the legend of one of them
    names: dict[str, str] = {}
    for legend in (legend for legend in (*own, *figure.legends) if legend):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=False):
            for color in _colors(handle)[:1]:
                names.setdefault(color, _words(text.get_text()))
    return names


def _colors(artist: Any) -> list[str]:
    """Return an artist's colours, as #rrggbb."""
    name = next((name for name in ("get_color", "get_facecolor") if hasattr(artist, name)), None)
    return [to_hex(color) for color in to_rgba_array(getattr(artist, name)())] if name else []


def _name(artist: Any, names: dict[str, str]) -> str:
    label = str(artist.get_label())
    return _words(label) if not label.startswith("_") else next((names.get(c, "") for c in _colors(artist)), "")


def _lines(axis: Axes, names: dict[str, str]) -> list[str]:
    told, ends, nameless = {}, {}, 0
    for line in axis.get_lines():
        x, y = (np.asarray(values, dtype=float) for values in line.get_data(orig=False))
        y = y[np.isfinite(y)]
        name = _name(line, names)
        if len(y) == 1 and name:
            told.setdefault(f"{name} is at {_number(y[0])}")
        if len(y) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0 or line.get_linestyle() in ("None", "none", ""):
            continue  # an entry of the legend, a rule, an interval, points
        nameless += not name
        if name:
            ends.setdefault(name, []).append((y[0], y[-1]))
    for name, pairs in sorted(ends.items(), key=lambda item: len(item[1]) > 1):  # lines of a name of their own first
        if len(pairs) == 1:
            told.setdefault(f"{name} goes from {_number(pairs[0][0])} to {_number(pairs[0][1])}")
        else:
            last = [end for _, end in pairs]
            told.setdefault(f"{name}, {len(pairs)} lines, end between {_number(min(last))} and {_number(max(last))}")
    more = [f"{nameless} lines without a name"] if nameless > 1 else ["a line"] if nameless else []
    return [_several(told)] * bool(told) + more


def _bars(axis: Axes, names: dict[str, str]) -> list[str]:
    told = []
    for bars in (held for held in axis.containers if isinstance(held, BarContainer) and held.patches):
        flat = bars.orientation == "horizontal"
        sizes = [bar.get_width() if flat else bar.get_height() for bar in bars.patches]
        name = _words(bars.get_label()) if not bars.get_label().startswith("_") else _name(bars.patches[0], names)
        ticks = [_words(text.get_text()) for text in (axis.get_yticklabels() if flat else axis.get_xticklabels())]
        sized = f"{len(sizes)}, from {_number(min(sizes))} to {_number(max(sizes))}"
        if len(ticks) == len(sizes) and any(ticks):
            sized = _several([f"{tick} {_number(size)}" for tick, size in zip(ticks, sizes, strict=True)])
        told.append(f"bars{f' of {name}' if name else ''}: {sized}")
    return [*told[:MOST], *([f"{len(told) - MOST} more groups of bars"] if len(told) > MOST else [])]


def _points(axis: Axes, names: dict[str, str]) -> list[str]:
    counts: Counter[str] = Counter()
    for held in (held for held in axis.collections if isinstance(held, PathCollection) and len(held.get_offsets())):
        colors, count = _colors(held), len(held.get_offsets())
        if len(colors) == count:
            counts.update(names.get(color, "") for color in colors)
        else:
            counts[_name(held, names)] += count
    told = [f"{name} ({count})" if name else str(count) for name, count in counts.items()]
    return [f"points: {_several(told)}"] if told else []


def _maps(axis: Axes) -> list[str]:
    """Return what colours tell in axes: a heat map by its shape and range."""
    told = []
    for held in (*axis.images, *(held for held in axis.collections if hasattr(held, "get_coordinates"))):
        values = np.ma.masked_invalid(np.ma.asarray(held.get_array(), dtype=float))
        if values.ndim == 2 and values.count():
            rows, columns = values.shape
            span = f"from {_number(values.min())} to {_number(values.max())}"
            told.append(f"a map of {rows} rows and {columns} columns, {span}")
        elif values.ndim == 3:
            told.append("a picture")
    return told


def _several(texts: Iterable[str], most: int = MOST) -> str:
    texts = [text for text in texts if text]
    more = [f"{len(texts) - most} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])


def _words(text: str) -> str:
    """Return a text without line breaks and without the signs of a formula."""
    plain = re.sub(r"\\(?:mathrm|mathbf|hat|text)\b|[{}]", "", text.replace(r"\$", "\0").replace("$", ""))
    return " ".join(plain.replace("\\", "").replace("\0", "$").split()).rstrip(".:")


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "nothing"
    return (f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{float(value):.3g}").replace("-", "−")
