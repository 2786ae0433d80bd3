"""The framework diagram: it says what was given, nothing else, and every word of it can be read."""

import re
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from adautomix import UserError, figures

KINDS = [
    ("student", "both", "every step"),
    ("generator", "released", "even steps"),
    ("generator", "released", "odd steps"),
    ("generator", "paper", "every step"),
]
TERMS = {
    "student_clean": (0.5, 0, 0, 0),
    "student_plain": (0.5, 0, 0, 0),
    "student_mixed": (1, 0, 0, -1),
    "teacher_mixed": (0, -0.3, 1, 0.3),
    "cosine": (0, 0.7, 0, -0.7),
}
SIZES = {"student": 1234567, "teacher": 1234568, "generator": 4321}
CASES = [
    {},
    {"n": 2, "told": 0},
    {"n": 6, "side": 32, "grid": 8},
    {"b": 128, "side": 224, "grid": 14, "c": 1024, "k": 1000},
]


def recorded(b=48, n=3, side=24, grid=6, c=64, k=10, told=1):
    """Return the arguments of a drawing: shapes, pictures, weights and the rest."""
    p, x = grid * grid, (b, 3, side, side)
    shapes = {"x": x, "lam": (b, n), "index": (n, b), "tap": (b, c, grid, grid), "z": (n, b, c + told, grid, grid)}
    shapes |= {"query": (n, b, p, c // 2), "key": (n, b, p, c // 2), "value": (n, b, p), "attention": (n, b, p, p)}
    shapes |= {"P": (b, n, grid, grid), "mask": (b, n, side, side), "x_mix": x, "y_mix": (b, k)}
    shapes |= dict.fromkeys(("one", "mix", "teacher_mix"), (b, k))
    rng = np.random.default_rng(0)
    pictures = {"slots": rng.random((n, 3, side, side)), "mask": rng.random((n, side, side))}
    pictures |= {name: rng.random((3, side, side)) for name in ("x", "x_mix", "x_mix_student")}
    weights = pd.DataFrame(TERMS, index=pd.MultiIndex.from_tuples(KINDS)).T
    if n > 2:
        shapes["x_plain"], pictures["x_plain"] = x, pictures["x"] / 2
    else:
        weights = weights.drop("student_plain")
    return (shapes, pictures, weights), {"sizes": SIZES, "shares": [1 / n] * n, "tap": "layer3", "title": "a run"}


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def extents(figure, prefix, artists):
    """Return (gid without prefix, extent in px) of every artist whose gid starts with the prefix."""
    renderer = figure.canvas.get_renderer()
    found = [a for a in artists if (a.get_gid() or "").startswith(prefix)]
    return [(a.get_gid().removeprefix(prefix), a.get_window_extent(renderer)) for a in found]


def meet(one, other, slack=1.0):
    """Return whether two extents share more than `slack` px in both directions."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > slack and height > slack


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(params=CASES, ids=lambda case: "-".join(f"{k}{v}" for k, v in case.items()) or "usual")
def drawn(request):
    """Drawings of two to six images, told lam or not, small and as large as ImageNet's."""
    given, more = recorded(**request.param)
    return given, figures.framework(*given, **more)


def test_the_shapes_written_are_those_given_and_no_others(drawn):
    (shapes, _, _), figure = drawn
    written = set(re.findall(r"\d+(?:×\d+)+", " ".join(words(figure))))
    grids = {"×".join(map(str, shapes[name][-2:])) for name in ("P", "mask")}
    assert written == {"×".join(map(str, shape)) for shape in shapes.values()} | grids


def test_in_words_it_tells_the_step_that_it_shows(drawn):
    (shapes, *_), figure = drawn
    told = figures.describe(figure)
    assert told.startswith(figure.get_label().split(".")[0])
    assert f"({'×'.join(map(str, shapes['tap']))})" in told
    assert f"{shapes['lam'][1]} images" in told


def test_every_text_lies_in_its_box_or_on_the_board(drawn):
    _, figure = drawn
    boxes = dict(extents(figure, "box:", figure.axes[0].patches))
    for name, text in extents(figure, "text:", figure.axes[0].texts):
        home = boxes[name] if name else figure.bbox
        assert home.x0 <= text.x0 < text.x1 <= home.x1, name
        assert home.y0 <= text.y0 < text.y1 <= home.y1, name


def test_nothing_covers_anything_else(drawn):
    _, figure = drawn
    patches = figure.axes[0].patches
    solid = extents(figure, "box:", patches) + extents(figure, "edge:", patches)
    solid += [("words", e) for name, e in extents(figure, "text:", figure.axes[0].texts) if not name]
    pairs = [(a, b) for i, (a, one) in enumerate(solid) for b, other in solid[:i] if meet(one, other)]
    assert not pairs


def test_no_wire_runs_through_words(drawn):
    _, figure = drawn
    texts = list(zip(words(figure), (e for _, e in extents(figure, "text:", figure.axes[0].texts)), strict=True))
    wires = [p for p in figure.axes[0].patches if p.get_gid() == "wire"]
    assert len(wires) > 20
    for wire in wires:
        corners = figure.axes[0].transData.transform(wire._path_original.vertices)
        for start, end in pairwise(corners):
            for x, y in np.linspace(start, end, 200):
                crossed = [word for word, e in texts if e.x0 < x < e.x1 and e.y0 < y < e.y1]
                assert not crossed


def test_letters_have_eight_points_on_a_page_of_a_thousand_pixels():
    given, more = recorded()
    figure = figures.framework(*given, **more)
    shown = 1000 / 96 / figure.get_figwidth()
    assert min(text.get_fontsize() for text in figure.axes[0].texts) * shown >= 8


def test_other_shapes_sizes_and_shares_give_other_words():
    (shapes, *rest), more = recorded()
    wider = shapes | {"tap": (48, 128, 6, 6), "z": (3, 48, 128, 6, 6)}
    other = {"shares": [0.5, 0.3, 0.2], "sizes": SIZES | {"generator": 5000}, "tap": "layer2", "title": "another"}
    before, after = (set(words(figures.framework(s, *rest, **m))) for s, m in ((shapes, more), (wider, more | other)))
    assert {"48×64×6×6", "3×48×65×6×6", "+ channel of λ", "up to layer3", "a run"} < before - after
    assert {"48×128×6×6", "3×48×128×6×6", "no λ channel", "up to layer2", "another"} < after - before
    assert {"1,234,567", "1,234,568"} < after
    assert any("MixBlock, 5,000 weights" in text for text in after)
    assert [any(text.endswith(share) for text in after) for share in ("0.50", "0.30", "0.20")] == [True] * 3


def test_every_weight_stands_in_its_cell_filled_where_the_loss_is_maximised():
    given, more = recorded()
    figure = figures.framework(*given, **more)
    pills = {t.get_gid().removeprefix("text:"): t.get_text() for t in figure.axes[0].texts if t.get_text()[0] in "▼▲"}
    del pills[""]  # the legend
    wanted = {f"{term} {' '.join(kind)}": w for term, row in TERMS.items() for kind, w in zip(KINDS, row, strict=True)}
    assert pills == {name: f"{'▼' if w > 0 else '▲'} {abs(w):g}" for name, w in wanted.items() if w}
    fills = {p.get_gid(): p.get_facecolor() for p in figure.axes[0].patches}
    for name, weight in wanted.items():
        if weight:
            assert (fills[f"box:{name}"][:3] == (1, 1, 1)) == (weight > 0)


def test_the_gate_before_the_student_follows_the_weights():
    (shapes, pictures, weights), more = recorded()
    swapped = weights.copy()
    swapped.loc["student_mixed", KINDS[1]], swapped.loc["student_mixed", KINDS[3]] = -1, 0
    for table, cut, open_ in ((weights, "released", "paper"), (swapped, "paper", "released")):
        text = words(figures.framework(shapes, pictures, table, **more))
        assert f"{cut}: own draw, ‖" in text
        assert f"{open_}: same mix, ×−1" in text


def test_the_pictures_are_the_ones_given():
    (shapes, pictures, weights), more = recorded()
    figure = figures.framework(shapes, pictures, weights, **more)
    shown = {p.get_gid().removeprefix("picture:"): np.asarray(p.get_array()) for p in figure.axes[0].images}
    for n in range(3):
        np.testing.assert_array_equal(shown[f"slot {n + 1}"], pictures["slots"][n].transpose(1, 2, 0))
        np.testing.assert_array_equal(shown[f"mask {n + 1}"], pictures["mask"][n])
    of_row = {"student_clean": "x", "student_plain": "x_plain", "student_mixed": "x_mix_student"}
    of_row |= {"teacher_mixed": "x_mix", "cosine": "x", "x_mix": "x_mix"}
    for row, name in of_row.items():
        np.testing.assert_array_equal(shown[row], pictures[name].transpose(1, 2, 0))


def test_what_is_missing_is_named():
    (shapes, pictures, weights), more = recorded()
    given = {"shapes": shapes, "pictures": pictures, "weights": weights.T, "sizes": SIZES}
    for what, name in (("shapes", "x_plain"), ("pictures", "mask"), ("sizes", "teacher"), ("weights", "cosine")):
        less = given | {what: {k: v for k, v in given[what].items() if k != name}}
        table = pd.DataFrame(less.pop("weights")).T
        with pytest.raises(UserError, match=f"needs the {what} of {name};"):
            figures.framework(less["shapes"], less["pictures"], table, **more | {"sizes": less["sizes"]})


def test_without_a_plain_blend_its_row_says_so():
    given, more = recorded(n=2)
    text = words(figures.framework(*given, **more))
    assert "no plain blend of two images" in text
    assert "plain blend" not in text
