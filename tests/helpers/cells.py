"""Shared by the tests of what notebooks say: their code cells, run in the test's own process."""

import json

import matplotlib
import matplotlib.pyplot as plt

from helpers import ROOT


def run_cells(name, **parameters):
    """Run the code cells of a notebook, these parameters in place of its own; return its variables."""
    matplotlib.use("Agg")
    (path,) = (ROOT / "notebooks").glob(f"{name}_*.ipynb")
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    known = {"__name__": "__main__"}
    try:
        with matplotlib.rc_context():  # a notebook sets its style, which is not for the tests that follow
            for place, cell in enumerate(cells):
                exec(compile("".join(cell["source"]), f"{path.stem}, code cell {place}", "exec"), known)
                if "parameters" in cell["metadata"].get("tags", []):
                    assert parameters.keys() <= known.keys()
                    known |= parameters
    finally:
        plt.close("all")
    return known
