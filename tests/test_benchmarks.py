"""Benchmarks others rely on: does the one for a GPU run anywhere, and does a step make no more calls than it did?"""

import copy
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from helpers import ROOT
from PIL import Image

from adautomix.config import OptimConfig
from adautomix.models.backbones import build_backbone
from adautomix.recipes import RECIPES
from adautomix.training.optim import lr_at
from adautomix.training.steps import Training

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


def test_a_replays_accuracies_ask_for_slot_0_as_the_released_program_does(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from log_replay import replayed
    from train_step import random_images

    recipe = RECIPES["cifar100_resnet18/adautomix"].config(device="cpu")
    dataset = replace(random_images(16), classes=tuple(map(str, range(100))))
    training = Training.start(replace(recipe, width=4, batch_size=16), dataset, torch.device("cpu"))
    student, rng = copy.deepcopy(training.student), training.context.rng.get_state()
    rows = {row["value"]: row for row in replayed(training, "cifar100_resnet18_adautomix_800e", iterations=1)}

    batch = next(iter(training.train_batches.epoch(0)))
    training.context.rng.set_state(rng)
    draws = training.method.draw(16, training.context)
    plain = sum(draws.lam[:, n, None, None, None] * batch.x[draws.index[n]] for n in range(3))
    right = (student(batch.x).logits["one"].argmax(1) == batch.y).float().mean()
    right_plain = (student(plain, ("mix",)).logits["mix"].argmax(1) == batch.y[draws.index[0]]).float().mean()
    assert rows["acc_one_q"]["ours"] == pytest.approx(50 * float(right + right_plain), abs=1e-3)
    assert set(rows) == {"loss", "acc_one_q", "acc_mix_q", "acc_mix_k"}
    assert rows["loss"]["theirs"] == pytest.approx(11.179)
    assert rows["loss"]["iteration"] == rows["loss"]["of"] == 1


def test_the_plain_loop_trains_the_studys_network_under_its_rates(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import plain_loop

    net = plain_loop.resnet18(width=16, classes=10)
    own, _ = build_backbone("resnet18", width=16, image_size=32)
    shapes = sorted(tuple(p.shape) for p in own.parameters())
    assert sorted(tuple(p.shape) for p in net.parameters()) == sorted([*shapes, (10, 128), (10,)])
    study = OptimConfig(lr=plain_loop.LR, warmup_epochs=7.5)
    rates = [(plain_loop.rate(step, 3000), lr_at(study, step, 20, 150)) for step in range(0, 3000, 100)]
    assert [ours for ours, _ in rates] == pytest.approx([theirs for _, theirs in rates])

    x, y = torch.rand(8, 3, 32, 32), torch.arange(8)
    torch.manual_seed(3)
    found = plain_loop.loss(net.eval(), x, y, "mixup").detach()
    torch.manual_seed(3)
    lam, order = torch.rand(()), torch.randperm(8)
    soft = lam * torch.eye(10)[y] + (1 - lam) * torch.eye(10)[y[order]]
    logits = net(lam * x + (1 - lam) * x[order])
    assert float(found) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, soft).detach()), rel=1e-5)

    for split, label, grey in [(s, k, 60 * k + 20) for s in ("train", "test") for k in range(3)]:
        (folder := tmp_path / split / str(label)).mkdir(parents=True)
        for n in range(4):
            Image.new("RGB", (32, 32), (grey, grey, n)).save(folder / f"{n}.png")
    assert plain_loop.train(tmp_path, "vanilla", seed=0, epochs=60, per_class=4) > 90
