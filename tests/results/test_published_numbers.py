"""The study's numbers in the README are those of the published files."""

import math
import re

import pytest
from helpers import ROOT

from adautomix.results import gains, gains_by_seed, read_study, regime_table

NAMES = {"no mixing": "vanilla"}
"""What the README calls otherwise than the files do, but for capitals."""


def numbers(text):
    """Return the numbers with one decimal in a text, signs kept."""
    return [float(number) for number in re.findall(r"[-+]?\d+\.\d", text)]


def rows_below(start):
    """Return the README's table whose heading begins so: the cells of every row, by the method's name in the files."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith(f"| {start}"))
    found = {}
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            return found
        name, *cells = (cell.strip(" *") for cell in line.strip("|").split("|"))
        found[NAMES.get(name, name.lower())] = cells
    return found


def regime(per_class, epochs, precision):
    """Return table, gains and gains by seed of a regime, by method; medians."""
    scores, _, robust = read_study(ROOT / "outputs" / "reference" / "small_data")
    whole = scores[
        (scores["per_class"] == per_class) & (scores["epochs"] == epochs) & (scores["precision"] == precision)
    ]
    table = regime_table(whole[whole["rule"] == "median"], robust).set_index("method")
    return table, gains(whole).set_index("method"), gains_by_seed(whole).sort_values("seed").groupby("method")


def near(cell, value):
    """A cell is empty where nothing was measured, else the value but for its rounding, which may be of a half."""
    return cell == "" if math.isnan(value) else float(cell) == pytest.approx(value, abs=0.0501)


@pytest.mark.parametrize(
    ("start", "setting"),
    [("CIFAR-10, 100 images a class", (100, 150, "bfloat16")), ("CIFAR-10, 20 images a class", (20, 750, "float32"))],
)
def test_a_table_of_seeds(start, setting):
    table, gained, each = regime(*setting)
    rows = rows_below(start)
    assert set(rows) == set(table.index)
    for method, (seeds, student, teacher, mean, single, *robust) in rows.items():
        own = table.loc[method]
        assert int(seeds) == own["seeds"]
        names = ("top-1, student", "top-1, teacher", "ECE, student", "15 corruptions, student")
        measured = [name for name in names if not math.isnan(own[name])]  # corruptions were not in every regime
        shown = zip((student, teacher, *robust), measured, strict=True)
        assert all(near(cell, own[name]) for cell, name in shown), method
        if method == "vanilla":
            assert (mean, single) == ("", "")
            continue
        wanted = gained.loc[method, ["difference", "low", "high"]].dropna()
        assert numbers(mean) == pytest.approx(list(wanted), abs=0.0501)
        wanted = each.get_group(method)["difference"]
        assert [float(n) for n in single.split(", ")] == pytest.approx(list(wanted), abs=0.0501)


def test_the_table_in_short():
    """Students and mean gains of both regimes side by side, and the costs that the table of methods gives."""
    rows = rows_below("method | 20 images a class")
    costs = {name.strip("`"): cells[-1] for name, cells in rows_below("method | idea").items()}
    for place, setting in ((0, (20, 750, "float32")), (2, (100, 150, "bfloat16"))):
        table, gained, _ = regime(*setting)
        assert set(rows) == set(table.index)
        for method, cells in rows.items():
            assert numbers(cells[place]) == pytest.approx([table.loc[method, "top-1, student"]], abs=0.0501)
            wanted = [] if method == "vanilla" else list(gained.loc[method, ["difference", "low", "high"]])
            assert numbers(cells[place + 1]) == pytest.approx(wanted, abs=0.0501), method
            assert cells[-1] == costs[method]
