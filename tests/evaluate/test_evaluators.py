"""What all evaluators have in common: they change nothing, refuse the same mistakes, and say what they did."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from helpers.hooks import strays
from helpers.tiny import tiny_batch
from torch import nn

from adautomix.evaluate import ALL_EVALUATORS, EVALUATORS, SETTINGS
from adautomix.evaluate.accuracy import predict
from adautomix.evaluate.attacks import fgsm
from adautomix.evaluate.cam import grad_cam
from adautomix.evaluate.corruption_source import MadeOnDemand
from adautomix.evaluate.occlusion import patchdrop
from adautomix.evaluate.pgd import pgd
from adautomix.models.classifier import Classifier
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json

AUTOATTACK = pytest.param(
    "autoattack", marks=pytest.mark.skipif(find_spec("pyautoattack") is None, reason="needs the extra 'attacks'")
)
NAMES = [*EVALUATORS, AUTOATTACK]


@pytest.fixture
def batches():
    x, y = tiny_batch()
    return [(x, y, torch.arange(len(y)))]


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluator_changes_nothing(student, batches, name):
    student.eval()
    before, images = {k: v.clone() for k, v in student.state_dict().items()}, batches[0][0].clone()
    rng, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    ALL_EVALUATORS[name](student, batches)
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in student.parameters())
    assert not any(module.training for module in student.modules())
    assert strays(student) == []
    assert torch.equal(images, batches[0][0])
    assert torch.equal(rng, torch.get_rng_state())
    assert (numbers == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluator_says_what_it_did_and_says_the_same_again(student, batches, name, tmp_path):
    result = ALL_EVALUATORS[name](student.eval(), batches)
    assert {"value", "settings", "n_images", "protocol"} <= set(result)
    assert result["n_images"] == len(batches[0][1])
    write_json(tmp_path / "result.json", result)
    assert read_json(tmp_path / "result.json") == json.loads(json.dumps(result))
    assert ALL_EVALUATORS[name](student, batches) == result


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluator_refuses_train_mode_normalised_pixels_and_no_images(student, batches, name):
    x, y, index = batches[0]
    with pytest.raises(UserError, match="training mode"):
        ALL_EVALUATORS[name](student.train(), batches)
    student.eval()
    with pytest.raises(UserError, match="pixels"):
        ALL_EVALUATORS[name](student, [(x * 4 - 2, y, index)])
    with pytest.raises(UserError, match="no test images"):
        ALL_EVALUATORS[name](student, [])


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluator_refuses_a_network_whose_outputs_are_not_finite(student, batches, name):
    student.eval().heads["one"].bias.data[1] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        ALL_EVALUATORS[name](student, batches)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_known_before_the_evaluation(student, batches, name):
    made_of = MadeOnDemand().settings if name == "corruption" else batches[0][0].shape[-1]
    result = json.loads(json.dumps(ALL_EVALUATORS[name](student.eval(), batches)))
    assert result["settings"] == SETTINGS[name](made_of)


def test_the_default_set_needs_no_extra():
    assert set(ALL_EVALUATORS) - set(EVALUATORS) == {"autoattack"}


@pytest.mark.parametrize("channels", [1, 4])
def test_networks_of_other_channels_are_evaluated_where_colour_does_not_matter(channels):
    net = nn.Sequential(nn.Conv2d(channels, 6, 3, 2, 1), nn.ReLU())
    model = Classifier(net, 5, mean=[0.5] * channels, std=[0.5] * channels, tap="0", image_size=16).eval()
    x, y = torch.rand(4, channels, 16, 16), torch.arange(4)
    assert predict(model, [(x, y)]).logits.shape == (4, 5)
    assert fgsm(model, x, y).shape == pgd(model, x, y, steps=1).shape == x.shape
    assert patchdrop(x, 0.5, grid=4, index=y).shape == x.shape
    assert grad_cam(model, x).shape == (4, 16, 16)
    with pytest.raises(UserError, match=rf"images must be float \[B,{channels},H,W\]"):
        predict(model, [(torch.rand(4, 3, 16, 16), y)])
