"""Our masks and schedules against the authors' released code: every file of tests/golden is there and is matched.

`ADAUTOMIX_GOLDEN=<folder> pytest tests/test_golden*.py` checks another folder. Options are read from the files.
"""

import numpy as np
import pytest
import torch
from helpers.golden_arrays import MARGIN_BUG, ROOT, close, files, golden, load_generator, tensor

from adautomix.config import EmaConfig, OptimConfig
from adautomix.models import ema
from adautomix.models.generator import MixBlock
from adautomix.training.optim import lr_at

EXPECTED = {
    "mask": [f"N{n}_lamconcat{c}_{mode}" for n in (2, 3) for c in (0, 1) for mode in ("bilinear", "nearest")],
    "step": [
        *(f"N{n}_{kind}_lamconcat0_bilinear" for n in (2, 3) for kind in ("adv", "std")),
        *(f"N{n}_{kind}_lamconcat1_nearest" for n in (2, 3) for kind in ("adv", "std")),
        "N2_std_fallback", "N3_adv_fallback", "N3_adv_high_lam0", "N4_adv", MARGIN_BUG,
    ],
    "automix": ["fallback", "lamconcat0_nearest", "lamconcat1_bilinear", "penalty_active"],
}  # fmt: skip


@pytest.mark.parametrize("folder", EXPECTED)
def test_no_file_is_missing_or_extra(folder):
    assert [p.name for p in files(folder)] == sorted(f"{name}.npz" for name in EXPECTED[folder])
    assert (ROOT / "robust" / "schedule.npz").exists()


@pytest.mark.parametrize("path", files("mask"), ids=lambda p: p.stem)
def test_masks_and_their_gradients(path):
    d = golden(path)
    features = tensor(d["features"]).requires_grad_()
    block = MixBlock(features.shape[2], int(d["reduction"]), bool(d["lam_concat"]))
    names = load_generator(block, d, prefix="")
    lam = tensor(d["lam"], torch.float32)
    mask = block(features, lam, int(d["scale_factor"]), str(d["mode"]))
    close(block.logits(features, lam), d["logits_low"])
    close(mask, d["mask"])
    (mask * tensor(d["probe"])).sum().backward()
    close(features.grad, d["grad_features"])
    assert len(names) == 6
    for name in names:
        close(block.get_parameter(name).grad, d["grad_" + name.replace(".", "_")])


SCHEDULES = {
    "momentum_cifar": EmaConfig(warmup=False),
    "momentum_scope_0_0p5_end0p99999": EmaConfig(scope=(0.0, 0.5), end=0.99999, warmup=False),
    "momentum_linear_warm_0p1_1_end0p99999": EmaConfig(ramp="linear", end=0.99999, warmup=False),
}


def test_momentum_and_learning_rate_schedules():
    d = golden(ROOT / "robust" / "schedule.npz")
    steps = int(d["max_iters"])
    assert set(d) == {"max_iters", "lr_cifar_by_epoch_400", *SCHEDULES}
    for name, config in SCHEDULES.items():
        np.testing.assert_allclose([ema.momentum(config, t, steps) for t in range(steps)], d[name], atol=1e-12)
    config = OptimConfig(lr=0.1, final_lr=0.05, schedule="epoch")
    ours = [lr_at(config, epoch * 7 + 3, 7, 400) for epoch in range(400)]
    np.testing.assert_allclose(ours, d["lr_cifar_by_epoch_400"], atol=1e-12)
