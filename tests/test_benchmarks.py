"""Benchmarks others rely on: does the one for a GPU run anywhere, and does a step make no more calls than it did?"""

import json
import subprocess
import sys

import pytest
from helpers import ROOT

ABSENT = ("papermill", "dask", "distributed", "jupyter_client", "nbformat", "tyro", "beartype", "IPython")
"""What a bare GPU machine does not have."""
BARE = f"""
import runpy, sys
sys.modules |= dict.fromkeys({ABSENT})  # importing one of them fails
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
runpy.run_path({str(ROOT / "benchmarks" / "gpu.py")!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_the_gpu_benchmark_runs_its_stages_on_a_bare_cpu_and_goes_on(tmp_path):
    call = [sys.executable, "-c", BARE, "--smoke", "--out", str(tmp_path), "--seconds", "600"]
    first = subprocess.run(call, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-2000:]
    rows = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("checks", "speeds", "training")}
    assert all(row["ok"] for row in rows["checks"])
    assert len(rows["checks"]) > 20
    assert all(row["ms_a_step"] > 0 for row in rows["speeds"])
    assert [row["epochs"] for row in rows["training"]] == [2] * 5
    assert (tmp_path / "histories.csv").exists()
    again = subprocess.run([*call, "--stages", "training"], capture_output=True, text=True, check=False)
    assert "already trained" in again.stdout
    assert json.loads((tmp_path / "training.json").read_text()) == rows["training"]


@pytest.mark.parametrize(("method", "most"), [("vanilla", 165), ("adautomix", 800)])
def test_a_step_makes_no_more_tensor_calls(method, most, monkeypatch):
    """437 and 1,308 before optimisers, counts and gradients of several passes took all parameters at once."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from launches import calls

    assert 100 < calls(method, batch=8, width=4)["calls"] <= most
