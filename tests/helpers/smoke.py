"""One plan that runs every notebook once, small: for the tests of the notebooks and of the site."""

import shutil
from pathlib import Path

from adautomix.evaluate import EVALUATORS
from helpers import ROOT
from helpers.plans import command, write_plan

SMOKE = {"data": "digits", "per_class": 4, "width": 4, "epochs": 1, "batch_size": 20}
SMOKE |= {"teacher_epochs": 1, "learning_steps": 2, "generator_steps": 3, "examples": 1}
EVALUATE = {"evaluators": list(EVALUATORS), "sample": 8}
METHODS = {"method": ["mixup", "adautomix"]}
STEPS = {
    "train": {"notebook": "10_train", "training": True, "grid": METHODS | {"seed": [0, 1]}, "parameters": {}},
    "history": {"notebook": "10_train", "training": True, "parameters": {"method": "recursivemix"}},
    "evaluate": {"notebook": "20_evaluate", "needs": "train", "grid": METHODS, "parameters": EVALUATE},
    "index": {"notebook": "00_index", "needs": "evaluate"},
    "results": {"notebook": "38_results", "needs": "evaluate"},
    "family": {"notebook": "01_mixing_family"},
    "generator": {"notebook": "02_generator"},
    "mixed_images": {"notebook": "33_figure1_mixed_images", "needs": ["train", "history"]},
    "framework": {"notebook": "34_figure2_framework", "needs": "train"},
    "adversarial": {"notebook": "03_adversarial_objective", "needs": "evaluate"},
    "table3": {"notebook": "32_table3_robustness", "needs": "evaluate"},
    "figure3": {"notebook": "35_figure3_occlusion", "needs": "evaluate"},
    "calibration": {"notebook": "36_calibration", "needs": "evaluate"},
    "own_images": {"notebook": "11_your_own_images", "training": True},
    "recipe": {"notebook": "12_recipe"},
    "tables": {"notebook": "30_tables", "needs": "evaluate"},
    "ablations": {"notebook": "37_ablations", "needs": "evaluate"},
    "authors_logs": {"notebook": "40_authors_logs", "needs": "train"},
    "study": {"notebook": "39_cifar10_study", "needs": "evaluate"},
    "regimes": {"notebook": "41_when_mixing_pays"},
}
TASKS = 24
"""Notebooks the plan runs: a step each, four trainings and two evaluations; one training with a history."""


def run_smoke_plan(folder: Path) -> str:
    """Run the plan in a copy of the notebooks in `folder`, and return what the command printed."""
    for part in ("notebooks", "outputs/reference", "tests/golden"):
        shutil.copytree(ROOT / part, folder / part)
    used = {step["notebook"] for step in STEPS.values()}
    assert used == {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")}, "a notebook is not run by this plan"
    write_plan(folder, STEPS, name="smoke", parameters=SMOKE)
    result = command(folder, "run", "smoke", "--workers", "2", preload=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
