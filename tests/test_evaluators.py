"""What all evaluators have in common: they change nothing, refuse the same mistakes, and say what they did."""

import json

import numpy as np
import pytest
import torch
from conftest import tiny_batch

from adautomix.errors import UserError
from adautomix.evaluate import EVALUATORS
from adautomix.files import read_json, write_json


@pytest.fixture
def batches():
    x, y = tiny_batch()
    return [(x, y, torch.arange(len(y)))]


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_an_evaluator_changes_nothing(student, batches, name):
    student.eval()
    before, images = {k: v.clone() for k, v in student.state_dict().items()}, batches[0][0].clone()
    rng, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    EVALUATORS[name](student, batches)
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in student.parameters())
    assert not any(module.training or module._forward_hooks for module in student.modules())
    assert torch.equal(images, batches[0][0])
    assert torch.equal(rng, torch.get_rng_state())
    assert (numbers == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_an_evaluator_says_what_it_did_and_says_the_same_again(student, batches, name, tmp_path):
    result = EVALUATORS[name](student.eval(), batches)
    assert {"value", "settings", "n_images", "protocol"} <= set(result)
    assert result["n_images"] == len(batches[0][1])
    write_json(tmp_path / "result.json", result)
    assert read_json(tmp_path / "result.json") == json.loads(json.dumps(result))
    assert EVALUATORS[name](student, batches) == result


@pytest.mark.parametrize("name", list(EVALUATORS))
def test_an_evaluator_refuses_train_mode_normalised_pixels_and_no_images(student, batches, name):
    x, y, index = batches[0]
    with pytest.raises(UserError, match=r"training mode .*call model.eval\(\)"):
        EVALUATORS[name](student.train(), batches)
    student.eval()
    with pytest.raises(UserError, match=r"pixels must be in \[0,1\]"):
        EVALUATORS[name](student, [(x * 4 - 2, y, index)])
    with pytest.raises(UserError, match="no test images"):
        EVALUATORS[name](student, [])
