"""Images, masks and attention maps side by side, with their labels. Arrays or tensors; images [3,H,W] in [0,1]."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adautomix.figures.style import panels, plain


def paint(axes: Iterable[Axes], pictures: Iterable[Any], titles: Iterable[str], *, fontsize: float = 7) -> None:
    """Draw images [3,H,W] and masks [H,W], both in [0,1], one in each of the axes, without ticks."""
    for axis, picture, title in zip(axes, map(np.asarray, pictures), titles, strict=True):
        image = np.clip(picture.transpose(1, 2, 0) if picture.ndim == 3 else picture, 0, 1)
        axis.imshow(image, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(plain(title), fontsize=fontsize, loc="center")
        axis.axis("off")


def image_row(images: Sequence[Any], titles: Sequence[str] | None = None, *, columns: int = 6) -> Figure:
    """Draw images [3,H,W] in [0,1] side by side, with a title each."""
    figure, axes = panels(len(images), columns, (1.65, 2.0))
    paint(axes.flat[: len(images)], images, titles or [""] * len(images), fontsize=9)
    return figure


def label_text(target: Sequence[float], classes: Sequence[str]) -> str:
    """Return a soft target in words, largest share first: "0.70 cat + 0.30 temple"; a class named 8 is written "8"."""
    shares = np.asarray(target, dtype=float)
    names = [f'"{name}"' if name.isdecimal() else name for name in classes]
    return "\n+ ".join(f"{shares[k]:.2f} {names[k]}" for k in np.argsort(-shares) if shares[k] > 0.005)


def mixed_pictures(
    pictures: Sequence[Any], mixed: Mapping[str, Any], *, examples: int = 3, side: float = 1.25
) -> Figure:
    """Draw mixes of several methods in rows: the pictures that met, every method's mix, and its mask of the first.

    Args:
        pictures: [3,H,W] each; picture b is slot 0 of mix b, and b + n slot n. A slot that is not filled from them
            (`Mixed.outside`) has a column of its own, before that of its method.
        mixed: by the name for its column, what a method made of all pictures; a mask that it does not have is its lam.
        examples: mixes shown.
    """
    count = len(pictures)
    most = max(len(made.index) - len(made.outside) for made in mixed.values())
    rows: dict[str, list[Any]] = {}
    for b in range(min(examples, count)):
        met = [pictures[(b + n) % count] for n in range(most)]
        masks: list[Any] = [None] * most
        for made in mixed.values():
            met += [source.x[made.index[n, b]] for n, source in made.outside.items()] + [made.x[b]]
            share = np.full(made.x.shape[2:], float(made.lam[b, 0]))
            masks += [None] * len(made.outside) + [share if made.mask is None else made.mask[b, 0]]
        rows[f"mix {b + 1}"], rows[f"mask of\nimage 1, mix {b + 1}"] = met, masks
    titles = [f"image {n + 1}" for n in range(most)]
    for name, made in mixed.items():
        titles += [f"image {n + 1}, before" for n in made.outside] + [name]
    limits = {name: (0, 1) for name in rows if "mask" in name}
    return picture_grid(rows, [title.replace(", ", "\n") for title in titles], limits=limits, side=side)


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
    ratios = [1] * columns + [0.06]  # the last column is for colour bars
    count = len(rows) * (columns + 1)
    figure, axes = panels(count, columns + 1, (side, side), (1.6 - side, 0.4), width_ratios=ratios)
    for axis in axes.flat:
        axis.axis("off")
    for (*line, bar), (name, items) in zip(axes, rows.items(), strict=True):
        arrays = [None if item is None else np.asarray(item) for item in items]
        maps = [array for array in arrays if array is not None and array.ndim == 2]
        own = (min(map(np.min, maps), default=0), max(map(np.max, maps), default=1))
        low, high = (limits or {}).get(name, own)
        for axis, array in zip(line, arrays, strict=False):
            if array is not None and array.ndim == 2:
                picture = axis.imshow(array, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
                bar.set_axis_on()
                figure.colorbar(picture, cax=bar)
            elif array is not None:
                axis.imshow(np.clip(array, 0, 1).transpose(1, 2, 0), interpolation="nearest")
        line[0].text(-0.06, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    for axis, title in zip(axes[0], titles or (), strict=False):
        axis.set_title(plain(title), fontsize=9, loc="center")
    for (name, column), place in (marks or {}).items():
        for color, width in (("white", 4), ("red", 2)):
            axis = axes[list(rows).index(name), column]
            axis.plot(*place, marker="x", color=color, markersize=9, markeredgewidth=width)
    return figure
