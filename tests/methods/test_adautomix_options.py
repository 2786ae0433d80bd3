"""Options of AutoMix and AdAutoMix: do they reach the generator, and are wrong ones refused?"""

import pytest
import torch
from helpers.learned import begin
from helpers.tiny import tiny_batch, tiny_classifier

from adautomix.methods import make_method
from adautomix.methods.adautomix import AdAutoMix
from adautomix.models.classifier import Classifier
from adautomix.models.generator import MixBlock
from adautomix.utils.errors import UserError


def test_options_of_the_generator_reach_it():
    assert isinstance(begin("adautomix", {"norm": "batch"})[0].generator.query_norm, torch.nn.BatchNorm2d)
    assert isinstance(begin("adautomix", {"activation": "none"})[0].generator.activation, torch.nn.Identity)
    assert begin("adautomix", {"lam_channel": True})[0].generator.query.in_channels == 7
    assert begin("automix", {"reduction": 3})[0].generator.query.out_channels == 2
    method, ctx = begin("adautomix", {"norm": "batch", "lam_channel": True})
    sum(method.step(*tiny_batch(6), ctx).losses.values()).backward()


def test_the_generators_first_weights_follow_from_the_seed_alone():
    student = tiny_classifier()
    torch.manual_seed(5)
    method = make_method("adautomix", student, {})
    torch.manual_seed(5)
    assert torch.equal(method.generator.query.weight, MixBlock(6).query.weight)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adautomix", {"n_mix": 1}, "need n_mix >= 2"),
        ("adautomix", {"objective": "papr"}, "objective must be one of released, paper, cooperative"),
        ("adautomix", {"beta": 1.5}, "beta and alpha_loss must be in"),
        ("adautomix", {"margin": 0.5}, "margin must be in"),
        ("adautomix", {"switch_off": 1.1}, "switch_off must be in"),
        ("adautomix", {"switch_off": 0.8, "objective": "paper"}, "switch_off does not go with objective='paper'"),
        ("automix", {"mode": "cubic"}, "mode must be nearest or bilinear"),
        ("adautomix", {"activation": "gelu"}, "activation 'relu' or None"),
        ("adautomix", {"reduction": 0}, "reduction must be between 1 and the 6 channels, got 0"),
        ("automix", {"reduction": 1000}, "reduction must be between 1 and the 6 channels, got 1000"),
        ("automix", {"mask_penalty": -1.0}, "mask_penalty must be zero or more, got -1.0"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        make_method(name, tiny_classifier(), options)


def test_build_checks_options_and_heads_at_once():
    with pytest.raises(UserError, match="unknown option of adautomix 'nmix'; did you mean 'n_mix'"):
        AdAutoMix.build(tiny_classifier(), nmix=3)
    with pytest.raises(UserError, match="n_mix of adautomix must be like its default 3, got '3'"):
        AdAutoMix.build(tiny_classifier(), n_mix="3")
    with pytest.raises(UserError, match=r"AdAutoMix needs heads \['mix'\]"):
        AdAutoMix.build(tiny_classifier(heads=("one",)))


def test_a_network_without_a_tap_is_refused():
    class Flat(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3))

    with pytest.raises(UserError, match=r'give the Classifier a tap, e.g. tap="layer3"'):
        make_method("automix", Classifier(Flat(), 3, heads=("one", "mix"), image_size=8))
