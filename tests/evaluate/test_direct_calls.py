"""Functions called by themselves, as a user's own code does: in float32, with wrapped networks, labels of any type."""

import pytest
import torch
from helpers import ROOT
from helpers.tiny import tiny_batch, tiny_classifier
from torch import nn

from adautomix.evaluate import ALL_EVALUATORS, EVALUATORS
from adautomix.evaluate.attacks import accuracy_by_eps, fgsm
from adautomix.evaluate.autoattack import autoattack
from adautomix.evaluate.cam import grad_cam
from adautomix.evaluate.new_images import classify
from adautomix.evaluate.pgd import pgd
from adautomix.evaluate.released import fgsm_released
from adautomix.evaluate.temperature import fit_temperature
from adautomix.models.classifier import Classifier
from adautomix.runs.run import find_runs
from adautomix.utils.errors import UserError

CALLS = {
    "fgsm": fgsm,
    "pgd": lambda model, x, y: pgd(model, x, y, steps=2),
    "fgsm_released": fgsm_released,
    "grad_cam": grad_cam,
    "autoattack": lambda model, x, y: autoattack(model, x, y, version="custom", attacks=["apgd-ce"]),
}


@pytest.fixture(params=CALLS)
def called(request):
    if request.param == "autoattack":
        pytest.importorskip("pyautoattack")
    return CALLS[request.param]


@pytest.fixture
def model():
    return tiny_classifier().eval()


@pytest.fixture
def tf32():
    """Let torch round to TF32 for the test's time."""
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("torch before 2.9 has the older settings alone")
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = "tf32"
    yield lambda: {kind.fp32_precision for kind in kinds}
    for kind, was in zip(kinds, before, strict=True):
        kind.fp32_precision = was


def test_every_pass_is_in_full_float32(called, model, tf32):
    seen = []
    model.net.body.register_forward_hook(lambda *given: seen.append(tf32()))
    called(model, *tiny_batch())
    assert seen
    assert all(precision == {"ieee"} for precision in seen)
    assert tf32() == {"tf32"}


def test_new_images_are_classified_in_full_float32(tf32, tmp_path, monkeypatch):
    from PIL import Image

    from adautomix.evaluate import new_images

    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    seen, logits_of = [], new_images.logits_of
    monkeypatch.setattr(new_images, "logits_of", lambda *given: seen.append(tf32()) or logits_of(*given))
    classify(find_runs(ROOT / "tests" / "golden" / "run")[0], tmp_path / "a.png", device="cpu")
    assert seen == [{"ieee"}]


def test_a_wrapped_network_gives_what_it_gives_unwrapped(called, model):
    x, y = tiny_batch()
    assert torch.equal(called(nn.DataParallel(model).eval(), x, y), called(model, x, y))


@pytest.mark.parametrize("name", EVALUATORS)
def test_a_wrapped_network_is_evaluated(name, model):
    x, y = tiny_batch()
    batches = [(x, y, torch.arange(len(y)))]
    assert ALL_EVALUATORS[name](nn.DataParallel(model).eval(), batches) == ALL_EVALUATORS[name](model, batches)


def test_a_wrapped_network_takes_images_of_its_own_channels():
    grey = Classifier(nn.Conv2d(1, 4, 3), 5, mean=(0.5,), std=(0.5,), image_size=8).eval()
    x, y = torch.rand(4, 1, 8, 8), torch.arange(4)
    assert torch.equal(fgsm(nn.DataParallel(grey).eval(), x, y), fgsm(grey, x, y))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16])
def test_labels_may_be_of_any_whole_number_type(called, model, dtype):
    x, y = tiny_batch()
    assert torch.equal(called(model, x, y.to(dtype)), called(model, x, y))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16])
@pytest.mark.parametrize("name", EVALUATORS)
def test_evaluators_take_labels_of_any_whole_number_type(name, model, dtype):
    x, y = tiny_batch()
    found = [ALL_EVALUATORS[name](model, [(x, labels, torch.arange(len(y)))]) for labels in (y, y.to(dtype))]
    assert found[0] == found[1]


def test_a_temperature_is_fitted_to_labels_of_any_whole_number_type():
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(60, 4, generator=rng), torch.randint(4, (60,), generator=rng)
    logits[range(40), labels[:40]] += 2
    assert fit_temperature(logits, labels.short()) == fit_temperature(logits, labels)


def test_inference_mode_is_named_where_gradients_are_needed(called, model):
    x, y = tiny_batch()
    with torch.inference_mode(), pytest.raises(UserError, match=r"inference_mode\(\) is on.*no_grad"):
        called(model, x, y)
    with torch.inference_mode(), pytest.raises(UserError, match=r"inference_mode\(\) is on"):
        accuracy_by_eps(model, [(x, y)])


def test_what_is_no_classifier_is_told_how_to_become_one(called, model):
    with pytest.raises(UserError, match="not a Classifier: wrap it first"):
        called(model.net, *tiny_batch())


def test_a_size_named_twice_or_by_a_generator_counts_once(model):
    batches = [tiny_batch()]
    once = accuracy_by_eps(model, batches, eps_list=(0.1, 0.2))
    assert accuracy_by_eps(model, batches, eps_list=(0.1, 0.1, 0.2)) == once
    assert accuracy_by_eps(model, batches, eps_list=(eps for eps in (0.1, 0.2))) == once
