"""Stopping: when does training refuse to start or to go on, and what does it say?"""

import pytest
import torch
from training import tiny_config, weights

from adautomix.config import EmaConfig, OptimConfig
from adautomix.errors import UserError
from adautomix.guard import LAG, FiniteGuard
from adautomix.methods.base import MixMethod, StepOutput
from adautomix.run import find_runs
from adautomix.train import train


@pytest.mark.usefixtures("tiny")
def test_a_loss_that_is_not_finite_stops_with_all_one_needs(tmp_path, monkeypatch):
    original = MixMethod.step

    def broken(self, x, y, ctx, draws=None):
        out = original(self, x, y, ctx, draws)
        factor = float("nan") if ctx.step == 7 else 1.0
        return StepOutput({k: v * factor for k, v in out.losses.items()}, out.terms, out.mixed, out.draws)

    monkeypatch.setattr(MixMethod, "step", broken)
    with pytest.raises(FloatingPointError) as caught:
        train(tiny_config(), tmp_path, log=str)
    (run,) = find_runs(tmp_path, unfinished=True)
    message = str(caught.value)
    assert "mixup: loss not finite at step 8 (student nan; lam in [0." in message
    assert f"last good checkpoint: {run.checkpoint}" in message
    assert not run.done
    assert all(torch.isfinite(w).all() for w in weights(run).values())


@pytest.mark.usefixtures("tiny")
def test_weights_ruined_by_the_last_step_are_noticed_too(tmp_path):
    config = tiny_config(epochs=1, batch_size=40, optim={"student": OptimConfig(lr=1e30)})
    with pytest.raises(FloatingPointError, match=r"student_loss on the test images is nan after epoch 1; no"):
        train(config, tmp_path, log=str)
    (run,) = find_runs(tmp_path, unfinished=True)
    assert not run.done
    assert not run.checkpoint.exists()


def test_a_lagging_guard_names_the_step_that_went_wrong(tmp_path):
    guard = FiniteGuard("mine", tmp_path / "checkpoint.pt", lagging=True)
    for step in range(1, LAG):
        guard.watch(step, StepOutput({"student": torch.tensor(torch.nan if step >= 7 else 1.0)}, {}))
    with pytest.raises(FloatingPointError, match=r"mine: loss not finite at step 7 \(student nan\); no checkpoint yet"):
        guard.watch(LAG, StepOutput({"student": torch.tensor(1.0)}, {}))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mixpu"}, "did you mean 'mixup'"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used here"),
        ({"device": "gpu"}, "device 'gpu' cannot be used here"),
        ({"ema": EmaConfig(teacher_bn="batch")}, "needs a method that runs the teacher; mixup does not"),
        ({"optim": {"student": OptimConfig(), "generator": OptimConfig()}}, r"optim names \['generator'\]"),
    ],
)
def test_configs_that_cannot_be_trained_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(tiny_config(**changes), tmp_path, log=str)
