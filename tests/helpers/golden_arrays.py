"""Shared by the tests against released code: files of a folder laid out like tests/golden, and how close is equal."""

import os
from pathlib import Path

import numpy as np
import torch

ROOT = Path(os.environ.get("ADAUTOMIX_GOLDEN", Path(__file__).parents[1] / "golden"))
CLOSE, SAME_WEIGHTS = {"atol": 1e-5, "rtol": 0}, {"atol": 1e-6, "rtol": 0}
MARGIN_BUG = "N3_adv_openmixup_margin_bug"


def files(folder):
    return sorted((ROOT / folder).glob("*"))


def golden(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays}


def tensor(values, dtype=None):
    return torch.from_numpy(np.asarray(values)).to(dtype)


def close(ours, theirs, tolerance=CLOSE):
    torch.testing.assert_close(ours.detach().double(), tensor(theirs, torch.float64), **tolerance)


def load_generator(generator, d, prefix="w_mix_"):
    own = {f"{name}.{kind}" for name, _ in generator.named_children() for kind in ("weight", "bias")}
    state = {k: tensor(d[prefix + k.replace(".", "_")]) for k in own if prefix + k.replace(".", "_") in d}
    generator.load_state_dict(state)
    return sorted(state)
