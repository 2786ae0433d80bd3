"""A method's own networks: are they stepped when named, kept in the checkpoint, followed and loaded again?"""

import math
from dataclasses import replace

import pytest
import torch
from helpers.learned import LEARNED
from helpers.training import tiny_config, weights
from helpers.trees import insects
from torch import nn

from adautomix.config import EmaConfig, OptimConfig
from adautomix.methods.base import MixMethod, StepOutput
from adautomix.runs import checkpoint
from adautomix.runs.networks import load_method
from adautomix.training import steps
from adautomix.training.loop import train
from adautomix.training.steps import Training
from adautomix.utils.errors import UserError


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("method", ["automix", "adautomix"])
def test_the_released_teacher_with_batch_statistics_can_be_trained(tmp_path, method):
    config = tiny_config(method=method, epochs=1, ema=EmaConfig(teacher_bn="batch"))
    history = train(config, tmp_path, log=str).history
    assert history["teacher_loss"].between(0, 10).all()


@pytest.mark.usefixtures("tiny")
def test_the_history_follows_what_the_generator_makes(tmp_path):
    history = train(tiny_config(method="adautomix", epochs=2), tmp_path, log=str).history
    assert history["mask_entropy"].between(0.5, math.log(3) + 1e-6).all()  # the generator starts near even masks
    assert history["mask_area_gap"].between(0, 0.5).all()
    assert history["loss_cosine"].between(-1, 1).all()
    assert "loss_mask_entropy" not in history


@pytest.mark.usefixtures("tiny")
def test_a_runs_method_is_loaded_with_its_trained_generator(tmp_path):
    run = train(tiny_config(method="adautomix", epochs=1, options={"n_mix": 4}), tmp_path, log=str)
    method = load_method(run)
    assert method.n_mix == 4
    stored = checkpoint.load(run.checkpoint)["trainables"]["generator"]
    for name, parameter in method.generator.named_parameters():
        assert torch.equal(parameter, stored[name])
        assert not parameter.requires_grad
    (run.path / "DONE").unlink()
    with pytest.raises(UserError, match="not trained to its end"):
        load_method(run)
    assert load_method(run, unfinished=True).n_mix == 4


class WithGenerator(MixMethod):
    """A method with a trainable of its own, stepped at every second step only."""

    def __init__(self) -> None:
        self.generator = nn.Linear(2, 1)

    def trainable_modules(self):
        return {"generator": self.generator}

    def step(self, x, y, ctx, draws=None):
        out = super().step(x, y, ctx, draws)
        losses = dict(out.losses)
        if ctx.step % 2 == 0:
            losses["generator"] = self.generator(torch.ones(1, 2)).square().sum()
        return StepOutput(losses, out.terms, out.mixed, out.draws)


@pytest.fixture
def with_generator(monkeypatch):
    monkeypatch.setattr(steps, "make_method", lambda name, student, options: WithGenerator())


@pytest.mark.usefixtures("with_generator")
def test_only_the_optimisers_named_in_losses_step(tiny_dataset):
    config = tiny_config(optim={"student": OptimConfig(lr=0.1), "generator": OptimConfig(lr=0.01, momentum=0.5)})
    training = Training.start(config, tiny_dataset, torch.device("cpu"))
    generator = training.method.generator
    for step, batch in enumerate(training.train_batches.epoch(0)):
        before, head = generator.weight.clone(), training.student.heads["one"].weight.clone()
        training.step(batch)
        assert torch.equal(before, generator.weight) == (step % 2 == 1)
        assert not torch.equal(head, training.student.heads["one"].weight)
    assert training.optimizers["generator"].param_groups[0]["momentum"] == 0.5


@pytest.mark.usefixtures("with_generator", "tiny")
def test_a_methods_own_weights_are_in_the_checkpoint(tmp_path):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    state = checkpoint.load(run.checkpoint)
    assert state["trainables"]["generator"]["weight"].shape == (1, 2)
    assert set(state["optimizers"]) == {"student", "generator"}


@pytest.mark.usefixtures("tiny")
def test_a_methods_state_is_in_the_checkpoint_and_loaded_with_it(tmp_path):
    run = train(tiny_config(method="recursivemix", epochs=1), tmp_path, log=str)
    stored, loaded = checkpoint.load(run.checkpoint)["method"], load_method(run).state_dict()
    assert set(stored) == set(loaded) == {"x", "y", "logits"}
    assert all(torch.equal(loaded[name], value) for name, value in stored.items())
    assert stored["x"].shape == (8, 3, 8, 8)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"channels_last": True}], ids=["bfloat16", "nhwc"])
@pytest.mark.parametrize(("method", "options"), LEARNED)
def test_learned_methods_train_alike_in_bfloat16_and_channels_last(tmp_path, method, options, changes):
    base = {"method": method, "options": options, "epochs": 1, "width": 16}  # narrow ones keep their layout
    plain, other = (train(tiny_config(**base | more), tmp_path, log=str) for more in ({}, changes))
    for name in (n for n in plain.history if n.startswith("loss_")):
        assert other.history[name].item() == pytest.approx(plain.history[name].item(), abs=0.1), name
    a, b = (checkpoint.load(run.checkpoint)["trainables"]["generator"] for run in (plain, other))
    assert all(torch.isfinite(b[name]).all() for name in b)
    assert "precision" not in changes or any(not torch.equal(a[name], b[name]) for name in b)


@pytest.mark.parametrize("method", ["vanilla", "adautomix"])
def test_images_read_by_worker_processes_are_trained_on_and_the_number_of_workers_does_not_matter(tmp_path, method):
    root = insects(tmp_path)
    config = tiny_config(data="folder", root=str(root), size=72, method=method, epochs=2, batch_size=6)
    first, second = (train(replace(config, workers=n), tmp_path / str(n), log=str) for n in (0, 2))
    assert first.history.filter(like="loss").notna().all().all()
    a, b = weights(first), weights(second)
    assert all(torch.equal(a[name], b[name]) for name in a)
