"""The trainer: does it learn, in every way it can be set up?"""

import pytest
import torch
from helpers.tiny import tiny_batch
from helpers.training import tiny_config

from adautomix.config import OptimConfig, TrainConfig
from adautomix.methods.base import MixMethod
from adautomix.methods.context import Context
from adautomix.runs import networks
from adautomix.training.loop import train


@pytest.mark.slow
def test_it_learns_to_read_digits(tmp_path):
    config = TrainConfig(method="vanilla", width=4, epochs=4, batch_size=25, per_class=50, device="cpu")
    run = train(config, tmp_path, log=str)
    assert run.history["student_top1"].iloc[-1] > 60  # chance is 10
    assert run.history["teacher_top1"].iloc[-1] > 60
    assert run.history["loss_ce"].iloc[-1] < run.history["loss_ce"].iloc[0]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"channels_last": True, "width": 16},
        {"clip_grad": 0.1, "label_smoothing": 0.1},
        {"optim": {"student": OptimConfig(name="adamw", lr=1e-3, warmup_epochs=1.0)}},
        {"backbone": "convnext_atto", "width": None, "epochs": 1, "batch_size": 20},
    ],
)
def test_every_way_of_training_runs_and_records_finite_losses(tmp_path, changes):
    run = train(tiny_config(**{"epochs": 2} | changes), tmp_path, log=str)
    assert run.history.notna().all().all()
    assert len(run.history) == run.config.epochs


def test_ones_own_loop_and_the_trainer_share_the_context(student):
    """step, backward, after_step: all that a loop of one's own needs."""
    method, ctx = MixMethod(), Context.start(student, steps=5, seed=0)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    x, y = tiny_batch()
    losses = []
    for _ in range(5):
        out = method.step(x, y, ctx)
        optimizer.zero_grad()
        out.losses["student"].backward()
        optimizer.step()
        ctx.after_step()
        losses.append(out.losses["student"].item())
    assert losses[-1] < losses[0]
    assert ctx.step == ctx.steps


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_on_a_gpu_learns_to_read_digits(tmp_path, precision):
    changes = {"method": "vanilla", "epochs": 4, "batch_size": 25, "per_class": 50, "precision": precision}
    run = train(tiny_config(**changes, device="cuda"), tmp_path, log=str)
    assert run.history["student_top1"].iloc[-1] > 60
    assert "cuda" in run.info["sessions"][0]["device"]


@pytest.mark.slow
def test_held_out_images_are_evaluated_every_epoch_and_not_trained_on(tmp_path):
    config = tiny_config(epochs=2, per_class=8, validation=0.25)
    run = train(config, tmp_path, log=str)
    assert (run.info["dataset"]["n_train"], run.info["dataset"]["n_validation"]) == (60, 20)
    for role in ("student", "teacher"):
        assert (run.history[f"{role}_val_top1"] % 5 == 0).all()  # of twenty images
        assert (run.history[f"{role}_val_loss"] > 0).all()
    assert run.id != train(tiny_config(epochs=2, per_class=8), tmp_path, log=str).id


@pytest.mark.usefixtures("tiny")
def test_a_network_that_sees_small_images_enlarged_is_named_once(tmp_path, monkeypatch):
    build = networks.build_backbone
    monkeypatch.setattr(networks, "build_backbone", lambda *args, **options: (build(*args, **options)[0], 24))
    lines = []
    train(tiny_config(epochs=2), tmp_path, log=lines.append)
    assert [line for line in lines if "enlarged" in line] == [lines[0]]
    assert "resnet18 sees images of 8 px enlarged to 24 px" in lines[0]
