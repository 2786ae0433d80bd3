"""The study's numbers in the README are those of the published files."""

import math
import re

import pandas as pd
import pytest
from helpers import ROOT

from adautomix.results import gains, gains_by_seed, read_study, regime_table

NAMES = {"no mixing": "vanilla"}
"""What the README calls otherwise than the files do, but for capitals."""


def rows_below(start):
    """Return the README's table whose heading begins so: the cells of every row, by the method's name in the files."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith(f"| {start}"))
    found = {}
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            return found
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
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


def test_the_table_of_seeds():
    table, gained, each = regime(100, 150, "bfloat16")
    rows = rows_below("CIFAR-10, 100 images a class")
    assert set(rows) == set(table.index)
    for method, (seeds, student, teacher, mean, single, ece, corrupted) in rows.items():
        own = table.loc[method]
        assert int(seeds) == own["seeds"]
        names = ("top-1, student", "top-1, teacher", "ECE, student", "15 corruptions, student")
        shown = zip((student, teacher, ece, corrupted), names, strict=True)
        assert all(near(cell, own[name]) for cell, name in shown), method
        if method == "vanilla":
            assert (mean, single) == ("", "")
            continue
        wanted = gained.loc[method, ["difference", "low", "high"]]
        assert [float(n) for n in re.findall(r"[-+]?\d+\.\d", mean)] == pytest.approx(list(wanted), abs=0.0501)
        wanted = each.get_group(method)["difference"]
        assert [float(n) for n in single.split(", ")] == pytest.approx(list(wanted), abs=0.0501)


@pytest.mark.parametrize(("regime_of", "part"), [((20, 750), slice(0, 4)), ((100, 150), slice(4, 8))])
def test_the_table_of_one_seed_in_float32(regime_of, part):
    table, gained, _ = regime(*regime_of, "float32")
    rows = {method: cells[part] for method, cells in rows_below("float32, seed 0").items()}
    assert {method for method, cells in rows.items() if any(cells)} == set(table.index)
    differences = gained["difference"].reindex(table.index)
    wanted = pd.DataFrame(
        {
            "student": table["top-1, student"],
            "teacher": table["top-1, teacher"],
            "gain": differences,
            "ece": table["ECE, student"],
        }
    )
    for method, values in wanted.iterrows():
        assert all(near(cell, value) for cell, value in zip(rows[method], values, strict=True)), method
