"""Images, masks and attention maps side by side, with their labels. Arrays or tensors; images [3,H,W] in [0,1]."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def image_row(images: Iterable[Any], titles: Sequence[str] | None = None, *, columns: int = 6) -> Figure:
    """Draw images [3,H,W] in [0,1] side by side, with a title each."""
    images = [np.clip(np.asarray(image), 0, 1).transpose(1, 2, 0) for image in images]
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.65 * columns, 2.0 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, interpolation="nearest")
        if titles is not None:
            axis.set_title(titles[i], fontsize=9, loc="center")
    return figure


def label_text(target: Sequence[float], classes: Sequence[str]) -> str:
    """Return a soft target in words, largest share first: "0.70 cat + 0.30 temple"; a class named 8 is written "8"."""
    shares = np.asarray(target, dtype=float)
    names = [f'"{name}"' if name.isdecimal() else name for name in classes]
    return "\n+ ".join(f"{shares[k]:.2f} {names[k]}" for k in np.argsort(-shares) if shares[k] > 0.005)


def picture_grid(
    rows: Mapping[str, Sequence[Any]],
    titles: Sequence[str] | None = None,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    marks: Mapping[tuple[str, int], tuple[float, float]] | None = None,
    side: float = 1.65,
) -> Figure:
    """Draw rows of images and maps, each row with its name on the left.

    Args:
        rows: a name for each row, and what it shows: images [3,H,W], maps [H,W] (one colour scale a row), or None for
            an empty place.
        titles: above the columns.
        limits: of the colour scale of a row of maps; by default its own least and greatest value.
        marks: a cross at (x, y) in px on the picture at (row name, column).
        side: of a picture, in inches.
    """
    columns = max(len(items) for items in rows.values())
    figure, axes = plt.subplots(
        len(rows),
        columns + 1,  # the last column is for colour bars
        figsize=(side * columns + 1.6, side * len(rows) + 0.4),
        width_ratios=[1] * columns + [0.06],
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat:
        axis.axis("off")
    for (*line, bar), (name, items) in zip(axes, rows.items(), strict=True):
        arrays = [None if item is None else np.asarray(item) for item in items]
        low, high = _limits(arrays, (limits or {}).get(name))
        for axis, array in zip(line, arrays, strict=False):
            if array is not None and array.ndim == 2:
                picture = axis.imshow(array, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
                bar.set_axis_on()
                figure.colorbar(picture, cax=bar)
            elif array is not None:
                axis.imshow(np.clip(array, 0, 1).transpose(1, 2, 0), interpolation="nearest")
        line[0].text(-0.06, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    for axis, title in zip(axes[0], titles or (), strict=False):
        axis.set_title(title, fontsize=9, loc="center")
    for (name, column), place in (marks or {}).items():
        for color, width in (("white", 4), ("red", 2)):
            axis = axes[list(rows).index(name), column]
            axis.plot(*place, marker="x", color=color, markersize=9, markeredgewidth=width)
    return figure


def _limits(arrays: Sequence[Any], given: tuple[float, float] | None) -> tuple[float, float]:
    maps = [array for array in arrays if array is not None and array.ndim == 2]
    return given or ((min(map(np.min, maps)), max(map(np.max, maps))) if maps else (0, 1))
