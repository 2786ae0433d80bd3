"""The released code's FGSM, ECE and occlusion against arrays that it produced.

`ADAUTOMIX_GOLDEN=<folder> pytest tests/evaluate/test_golden_robust.py` checks a folder laid out like tests/golden.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from adautomix import Classifier
from adautomix.evaluate.attacks import fgsm, loss_gradient
from adautomix.evaluate.calibration import calibration_metrics, ece_released
from adautomix.evaluate.released import fgsm_released, patches_released

ROOT = Path(os.environ.get("ADAUTOMIX_GOLDEN", Path(__file__).parents[1] / "golden")) / "robust"


def golden(name):
    with np.load(ROOT / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays}


def close(ours, theirs):
    torch.testing.assert_close(ours.double(), theirs.double(), atol=1e-5, rtol=0)


@pytest.fixture
def attacked():
    """Return the network of the file, as a Classifier that takes pixels, and the arrays."""
    d = golden("fgsm")
    conv = nn.Conv2d(3, len(d["conv_weight"]), 3, padding=1)
    conv.load_state_dict({"weight": d["conv_weight"], "bias": d["conv_bias"]})
    sizes = {"mean": d["mean"].tolist(), "std": d["std"].tolist(), "image_size": d["pixels"].shape[-1]}
    net = Classifier(nn.Sequential(conv, nn.Tanh()), len(d["fc_bias"]), **sizes).eval()
    net.heads["one"].load_state_dict({"weight": d["fc_weight"], "bias": d["fc_bias"]})
    return net, d


def test_the_network_and_its_gradient_are_those_of_the_file(attacked):
    net, d = attacked
    close(net(d["pixels"]).logits["one"], d["clean_logits"])
    gradient, _ = loss_gradient(net, d["pixels"], d["labels"])
    # Theirs is of the mean loss, with respect to normalised images.
    close(gradient * net.std / len(d["labels"]), d["grad_images"])


@pytest.mark.parametrize(("attack", "suffix"), [(fgsm, "om"), (fgsm_released, "jx")])
def test_both_attacks_give_the_released_images_and_logits(attacked, attack, suffix):
    net, d = attacked
    images = attack(net, d["pixels"], d["labels"], eps=float(d["eps"]))
    close((images - net.mean) / net.std, d[f"adv_images_{suffix}"])
    close(net(images).logits["one"], d[f"adv_logits_{suffix}"])


@pytest.mark.parametrize("case", ["", "_nonmonotone"])
def test_ece_standard_and_as_released(case):
    d = golden("ece")
    values, labels, bins = d[f"logits{case}"], d[f"labels{case}"], int(d["n_bins"])
    close(torch.tensor(calibration_metrics(values, labels, kind="logits", bins=bins).ece), d[f"ece_standard{case}"])
    close(torch.tensor(ece_released(values, labels, kind="logits", bins=bins)), d[f"ece_released{case}"])


def test_occlusion_drops_the_released_patches():
    d, checked = golden("occlusion"), 0
    for name in (key for key in d if key.startswith("keep_grid")):
        size, percent = map(int, re.fullmatch(r"keep_grid_d(\d+)_r(\d+)", name).groups())
        rng = np.random.RandomState(int(d[f"np_seed_d{size}_r{percent}"]))
        for kept in d[name]:  # two batches, one after the other
            assert torch.equal(~patches_released(rng, percent / 100, 224 // size), kept.bool())
            checked += 1
    assert checked == 16
