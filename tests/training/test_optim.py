"""Optimisers: who is decayed. The released schedule is in test_golden.py."""

import copy
from functools import partial

import pytest
import torch
from helpers.training import tiny_config
from torch import nn

from adautomix.config import OptimConfig
from adautomix.methods import METHODS, resolve_options
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.training import steps
from adautomix.training.optim import load, make_optimizer
from adautomix.training.steps import Training

ADAMW = OptimConfig(name="adamw", lr=1e-3, weight_decay=0.05, decay_all=False)
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def decayed(module: nn.Module, config: OptimConfig) -> dict[str, float]:
    """Return every parameter's weight decay by name."""
    of = {id(p): g["weight_decay"] for g in make_optimizer(module, config).param_groups for p in g["params"]}
    return {name: of[id(parameter)] for name, parameter in module.named_parameters()}


def test_every_parameter_is_decayed_by_default():
    assert set(decayed(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), OptimConfig()).values()) == {1e-4}


def test_biases_norms_and_position_tables_are_spared_on_request():
    net, resize = build_backbone("swin_tiny_patch4_window7_224", image_size=32)
    found = decayed(Classifier(net, 10, resize=resize), ADAMW)
    spared = {name for name, decay in found.items() if decay == 0}
    assert {"net.patch_embed.norm.weight", "heads.one.bias"} <= spared
    assert sum("relative_position_bias_table" in name for name in spared) == 12
    assert found["net.patch_embed.proj.weight"] == found["heads.one.weight"] == 0.05


def test_groups_change_nothing_but_the_decay():
    torch.manual_seed(0)
    one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    two.load_state_dict(one.state_dict())
    no_decay = OptimConfig(weight_decay=0.0)
    for module, config in ((one, no_decay), (two, OptimConfig(weight_decay=0.0, decay_all=False))):
        optimizer = make_optimizer(module, config)
        for _ in range(3):
            optimizer.zero_grad()
            module(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)


def test_a_state_from_another_device_does_not_bring_its_kernels_along(student):
    optimizer = make_optimizer(student, OptimConfig())
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group.update(lr=0.3, fused=True, foreach=None)
    load(optimizer, state)
    assert {(g["lr"], g["fused"], g["foreach"]) for g in optimizer.param_groups} == {(0.3, False, True)}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_every_method_makes_steps_with_the_fused_optimisers_of_a_gpu(tiny_dataset, monkeypatch, name, kind):
    """RecursiveMix's second head has no gradient in the first step, which torch's fused SGD did not bear."""
    monkeypatch.setattr(steps, "make_optimizer", partial(make_optimizer, fused=True))
    optim = {"student": OptimConfig(name=kind, lr=0.01)}
    config = tiny_config(method=name, options=resolve_options(name, {}), optim=optim)
    training = Training.start(config, tiny_dataset, torch.device("cpu"))
    batches = list(training.train_batches.epoch(0))
    for batch in (batches * 3)[:3]:
        assert all(loss.isfinite() for loss in training.step(batch).losses.values())


def test_a_fused_step_from_a_momentum_of_zero_is_torchs_first_step():
    torch.manual_seed(0)
    one = nn.Linear(3, 2)
    two = copy.deepcopy(one)
    ours, theirs = make_optimizer(one, OptimConfig(), fused=True), torch.optim.SGD(two.parameters(), **SGD, fused=True)
    for _ in range(3):
        for module, optimizer in ((one, ours), (two, theirs)):
            optimizer.zero_grad()
            module(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
    assert torch.equal(one.weight, two.weight)


@pytest.mark.parametrize("fused", [True, False])
def test_adamws_count_of_steps_goes_where_the_kernels_want_it(fused):
    cpu, there = nn.Linear(3, 2), nn.Linear(3, 2, device="meta")
    optimizer = make_optimizer(cpu, ADAMW)
    cpu(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    other = make_optimizer(there, ADAMW, fused=fused)
    load(other, optimizer.state_dict())
    state = next(iter(other.state.values()))
    assert state["step"].device.type == ("meta" if fused else "cpu")
    assert {group["fused"] for group in other.param_groups} == {fused}
