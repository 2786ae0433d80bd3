"""Configs refuse what is wrong with a message that helps, and equal configs are the same run."""

from dataclasses import asdict, replace

import pytest

from adautomix.config import EmaConfig, OptimConfig, TrainConfig, from_dict
from adautomix.runs.identity import run_hash
from adautomix.utils.errors import UserError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epcohs": 3}, "unknown TrainConfig setting 'epcohs'; did you mean 'epochs'"),
        ({"epochs": "ten"}, "epochs must be int, got 'ten'"),
        ({"epochs": True}, "epochs must be int, got True"),
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"width": 1.5}, "width must be int or nothing, got 1.5"),
        ({"precision": "float16"}, "precision must be one of 'float32', 'bfloat16', got 'float16'"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0,1\), got 1.0"),
        ({"clip_grad": 0.0}, "clip_grad must be positive"),
        ({"seed": -1}, "seed must be in"),
        ({"optim": {"student": {"lrr": 0.1}}}, "unknown OptimConfig setting 'lrr'; did you mean 'lr'"),
        ({"optim": {"generator": {}}}, "optim must be a mapping with the key 'student'"),
        ({"optim": {"student": {"lr": -0.1}}}, "lr must be positive, got -0.1"),
        ({"optim": {"student": {"lr": float("inf")}}}, "lr must be a finite number, got inf"),
        ({"optim": {"student": {"schedule": "constant", "final_lr": 0.01}}}, "neither warm-up nor an end"),
        ({"epochs": 5, "optim": {"student": {"warmup_epochs": 20.0}}}, r"no more than epochs \(5\), got 20.0"),
        ({"optim": {"student": {"momentum": 1.0}}}, "momentum must be in"),
        ({"optim": {"student": {"nesterov": True, "momentum": 0.0}}}, "nesterov needs sgd with momentum"),
        ({"ema": {"scope": [0.5, 0.1]}}, "scope must be two rising numbers"),
        ({"ema": {"scope": [0.5]}}, "scope must be"),
        ({"ema": {"base": 2.0}}, "base must be in"),
    ],
)
def test_mistakes_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        from_dict(TrainConfig, values)


def test_a_config_survives_a_round_trip_through_plain_values():
    config = TrainConfig(
        method="cutmix",
        options={"alpha": 1.0},
        optim={"student": OptimConfig(lr=1), "generator": OptimConfig(name="adamw")},
        ema=EmaConfig(scope=(0.0, 0.5)),
    )
    values = asdict(config) | {"ema": asdict(config.ema) | {"scope": [0, 0.5]}}
    assert from_dict(TrainConfig, values) == config


def test_one_and_one_point_zero_are_the_same_run():
    whole, real = (TrainConfig(optim={"student": OptimConfig(lr=lr)}) for lr in (1, 1.0))
    assert run_hash(whole, "") == run_hash(real, "")
    assert run_hash(TrainConfig(clip_grad=1), "") == run_hash(TrainConfig(clip_grad=1.0), "")
    scopes = [TrainConfig(ema=EmaConfig(scope=scope)) for scope in ((0, 1), [0.0, 1.0])]
    assert run_hash(scopes[0], "") == run_hash(scopes[1], "")


def test_a_field_at_its_default_does_not_change_the_hash(monkeypatch):
    """So that a field added later leaves every old run what it was."""
    config = TrainConfig(method="cutmix")
    seen = []
    monkeypatch.setattr("adautomix.runs.identity.json.dumps", lambda values, **kwargs: seen.append(values) or "")
    run_hash(config, "images")
    assert seen[0][1:] == ["images", {"method": "cutmix"}]


def test_the_hash_covers_every_field_but_where_the_run_happens():
    config = TrainConfig()
    others = {
        "data": "photos", "size": 8, "per_class": 1, "method": "cutmix", "options": {"alpha": 1.0},
        "backbone": "resnet34", "width": 16, "pretrained": True, "epochs": 3, "batch_size": 7,
        "optim": {"student": OptimConfig(lr=0.2)}, "label_smoothing": 0.1, "clip_grad": 1.0,
        "ema": EmaConfig(warmup=False), "precision": "bfloat16", "channels_last": True, "seed": 1,
        "validation": 0.1, "drop_path": 0.1, "rand_augment": "rand-m7-mstd0.5",
        "eval_precision": "bfloat16", "decode": "gpu", "tap": "layer2",
        "sync_bn": True, "flip": False,
    }  # fmt: skip
    same = {
        "root": "elsewhere",
        "allow_missing_classes": True,
        "device": "cpu",
        "workers": 0,
        "eval_every": 9,
        "cuda_graphs": True,
    }
    assert set(others) | set(same) == set(asdict(config))
    hashes = {run_hash(replace(config, **{name: value}), "") for name, value in others.items()}
    assert len(hashes | {run_hash(config, "")}) == len(others) + 1
    assert all(run_hash(replace(config, **{k: v}), "") == run_hash(config, "") for k, v in same.items())
    assert run_hash(config, "other images") != run_hash(config, "")


@pytest.mark.parametrize("words", ["randaugment", "rand-m", "rand-m7-std0.5", "m7"])
def test_words_that_timm_would_pass_over_are_refused(words):
    with pytest.raises(UserError, match=f"rand_augment must be timm's words joined by dashes.*got '{words}'"):
        TrainConfig(rand_augment=words)


def test_optim_for_falls_back_to_the_students():
    generator = OptimConfig(lr=0.01)
    config = TrainConfig(optim={"student": OptimConfig(), "generator": generator})
    assert config.optim_for("generator") == generator
    assert config.optim_for("other") == config.optim["student"]
