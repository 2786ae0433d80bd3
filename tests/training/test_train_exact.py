"""Exactness: does a run that was cut off, or trained again, end with the same weights bit for bit?"""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers.training import tiny_config, weights
from torch import nn

from adautomix.config import OptimConfig
from adautomix.runs import checkpoint, networks
from adautomix.runs.run import Run, find_runs
from adautomix.training.loop import train
from adautomix.training.steps import Training
from adautomix.training.telling import note_other_sums


def assert_same_weights(first: Run, second: Run) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    assert len(a) > 50
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.mark.usefixtures("tiny")
def test_a_run_that_was_cut_off_ends_with_the_same_weights_bit_for_bit(any_method, tmp_path, monkeypatch):
    whole = train(tiny_config(method=any_method), tmp_path / "whole", log=str)
    steps, original = [], Training.step

    def cut_off(self, batch):
        steps.append(1)
        if len(steps) == 8:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(Training, "step", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(method=any_method), tmp_path / "cut", log=str)
    monkeypatch.setattr(Training, "step", original)
    (unfinished,) = find_runs(tmp_path / "cut", unfinished=True)
    assert not unfinished.done
    resumed = train(tiny_config(method=any_method), tmp_path / "cut", log=str)
    assert resumed.path == unfinished.path
    assert_same_weights(whole, resumed)
    columns = ["epoch", "lr", "student_top1", "student_loss", "teacher_top1", "teacher_loss"]
    assert whole.history[columns].equals(resumed.history[columns])
    assert [s["from_epoch"] for s in resumed.info["sessions"]] == [0, 1]


class Droppy(nn.Module):
    """A network with dropout and BatchNorm: it uses the global random numbers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3))

    def forward(self, x):
        return self.body(x)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("fast", [False, True])
def test_going_on_is_exact_with_dropout_bfloat16_channels_last_and_adamw(tmp_path, monkeypatch, optimizer, fast):
    monkeypatch.setattr(networks, "build_backbone", lambda *args, **kwargs: (Droppy(), None))
    config = tiny_config(
        precision="bfloat16" if fast else "float32",
        channels_last=fast,
        optim={"student": OptimConfig(name=optimizer, lr=0.01)},
    )
    whole = train(config, tmp_path / "whole", log=str)
    original = Training.run_epoch

    def cut_off(self, run):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return original(self, run)

    monkeypatch.setattr(Training, "run_epoch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", log=str)
    monkeypatch.setattr(Training, "run_epoch", original)
    torch.randn(7)  # somebody else's random numbers must not matter
    resumed = train(config, tmp_path / "cut", log=str)
    a, b = checkpoint.load(whole.checkpoint), checkpoint.load(resumed.checkpoint)
    assert all(torch.equal(a["student"][k], b["student"][k]) for k in a["student"])
    assert str(a["optimizers"]) == str(b["optimizers"])


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights(tmp_path):
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from adautomix import TrainConfig; from adautomix.training.loop import train\n"
        "config = TrainConfig(method='recursivemix', width=4, epochs=4, per_class=20, batch_size=20, device='cpu')\n"
        "train(config, sys.argv[1])"
    )

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait(timeout=120) == 0
    process, deadline = start(tmp_path / "killed"), time.monotonic() + 120
    while not list((tmp_path / "killed").rglob("history.csv")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start(tmp_path / "killed").wait(timeout=120) == 0
    (whole,), (killed,) = find_runs(tmp_path / "whole"), find_runs(tmp_path / "killed")
    assert len(killed.info["sessions"]) == 2
    assert_same_weights(whole, killed)


@pytest.mark.usefixtures("tiny")
def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    first, second = (train(tiny_config(), tmp_path / name, log=str) for name in "ab")
    assert_same_weights(first, second)
    other = train(tiny_config(seed=1), tmp_path / "a", log=str)
    assert other.path != first.path
    assert not torch.equal(weights(first)["net.conv1.weight"], weights(other)["net.conv1.weight"])


@pytest.mark.usefixtures("tiny")
def test_training_leaves_the_callers_random_state_alone(tmp_path):
    before = torch.get_rng_state()
    train(tiny_config(epochs=1), tmp_path, log=str)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("tiny")
def test_going_on_with_another_number_of_threads_is_said(tmp_path):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    run.info["sessions"][0]["threads"] = 64
    lines = []
    note_other_sums(run, {"threads": 1, "devices": 2}, lines.append)
    assert "began with 64 threads, goes on with 1" in lines[0]
    assert "began with 1 devices, goes on with 2" in lines[1]
