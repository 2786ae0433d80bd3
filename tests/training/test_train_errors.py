"""Stopping: when does training refuse to start or to go on, and what does it say?"""

import pytest
import timm
import torch
from helpers.training import tiny_config, weights

from adautomix.config import EmaConfig, OptimConfig
from adautomix.methods.base import MixMethod, StepOutput
from adautomix.runs import checkpoint
from adautomix.runs.networks import load_classifier, load_method
from adautomix.runs.run import Run, find_runs
from adautomix.training.guard import Guard
from adautomix.training.loop import train
from adautomix.training.steps import Training
from adautomix.utils.errors import UserError


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


def test_of_many_steps_looked_at_together_the_one_that_went_wrong_is_named(tmp_path):
    outs = [StepOutput({"student": torch.tensor(torch.nan if step >= 7 else 1.0)}, {}) for step in range(1, 50)]
    guard = Guard(torch.device("cpu"), "mine", Run(tmp_path))
    guard.recent = [(step, out.losses, None) for step, out in enumerate(outs[:6], start=1)]
    guard.finish()
    assert guard.recent == []
    guard.recent = [(step, out.losses, None) for step, out in enumerate(outs, start=1)]
    with pytest.raises(FloatingPointError, match=r"mine: loss not finite at step 7 \(student nan\); no checkpoint yet"):
        guard.finish()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mixpu"}, "did you mean 'mixup'"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used here"),
        ({"device": "gpu"}, "device 'gpu' cannot be used here"),
        ({"ema": EmaConfig(teacher_bn="batch")}, "needs a method that runs the teacher; mixup does not"),
        ({"optim": {"student": OptimConfig(), "generator": OptimConfig()}}, r"optim names \['generator'\]"),
        ({"options": {"alpha": float("inf")}}, "alpha of mixup must be a finite number, got inf"),
        ({"batch_size": 1}, "BatchNorm needs more than one value a channel, and a batch of 1x3x8x8"),
    ],
)
def test_configs_that_cannot_be_trained_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(tiny_config(**changes), tmp_path, log=str)


@pytest.mark.usefixtures("tiny")
def test_a_full_disk_is_one_message_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    save, saved = torch.save, []

    def full(state, path):
        if saved:
            raise RuntimeError("enforce fail at inline_container.cc: unexpected pos")
        saved.append(save(state, path))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"checkpoint.pt could not be written, \d+ MiB are free there: enforce fail"):
        train(tiny_config(), tmp_path, log=str)
    (run,) = find_runs(tmp_path, unfinished=True)
    assert checkpoint.load(run.checkpoint)["epoch"] == 1


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"cut"], ids=["empty", "other", "cut"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path, content):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    whole = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(whole[: len(whole) // 2] if content == b"cut" else content)
    with pytest.raises(UserError, match=r"checkpoint.pt cannot be read, .+; delete .+ and train again"):
        load_classifier(run)


@pytest.mark.usefixtures("tiny")
def test_a_finished_run_without_its_checkpoint_says_so(tmp_path):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    run.checkpoint.unlink()
    with pytest.raises(UserError, match=r"is trained, but .*checkpoint.pt is gone"):
        load_classifier(run)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("backbone", ["test_resnet", "test_convnext", "test_vit"])
def test_a_pretrained_run_goes_on_and_is_loaded_without_the_hub(tmp_path, monkeypatch, backbone):
    """Pretrained networks keep their stem and patches, which small images would else not get."""
    fetched, create = [], timm.create_model

    def from_the_hub(name, *, pretrained=False, **options):
        fetched.append(pretrained)
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", from_the_hub)
    config = tiny_config(backbone=backbone, width=None, pretrained=True, epochs=2, method="automix")
    run_epoch = Training.run_epoch
    monkeypatch.setattr(Training, "run_epoch", lambda self, run: 1 / 0 if self.epoch else run_epoch(self, run))
    with pytest.raises(ZeroDivisionError):
        train(config, tmp_path, log=str)
    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    run = train(config, tmp_path, log=str)
    student = load_classifier(run)
    assert student.resize == (160 if backbone == "test_vit" else 224)
    assert load_method(run).n_mix == 2
    assert fetched == [True, False, False, False]
