"""Short trainings with known ends: a change of any method's numbers fails here, unless NUMERICS_VERSION says so.

After raising it: `ADAUTOMIX_PIN=1 pytest tests/training/test_pinned.py` writes tests/golden/trained.json anew.
"""

import json
import os

import pytest
from helpers import ROOT
from helpers.training import tiny_config

from adautomix import METHODS
from adautomix.runs.identity import NUMERICS_VERSION
from adautomix.training.loop import train

FILE = ROOT / "tests" / "golden" / "trained.json"
CASES = {name: {"method": name} for name in METHODS}
for objective in ("paper", "cooperative"):
    CASES[f"adautomix {objective}"] = {"method": "adautomix", "options": {"objective": objective}}
WATCHED = ("student_loss", "teacher_loss", "loss_")


@pytest.fixture(scope="module")
def pinned():
    if os.environ.get("ADAUTOMIX_PIN"):
        FILE.write_text(json.dumps({"numerics_version": NUMERICS_VERSION}))
    return json.loads(FILE.read_text())


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("case", CASES)
def test_a_short_training_ends_as_it_did(case, tmp_path, pinned):
    last = train(tiny_config(**CASES[case], epochs=2), tmp_path, log=str).history.iloc[-1]
    ours = {name: float(f"{value:.7g}") for name, value in last.items() if name.startswith(WATCHED)}
    if os.environ.get("ADAUTOMIX_PIN"):
        FILE.write_text(json.dumps(json.loads(FILE.read_text()) | {case: ours}, indent=1) + "\n")
        return
    assert ours == pytest.approx(pinned[case], rel=1e-4, abs=1e-5)


def test_the_known_ends_are_of_this_numerics_version_and_of_every_method():
    pinned = json.loads(FILE.read_text())
    assert pinned["numerics_version"] == NUMERICS_VERSION, "numbers changed on purpose: write them anew, see above"
    assert set(pinned) == {"numerics_version", *CASES}
