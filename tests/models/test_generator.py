"""MixBlock against a loop over samples and positions, and the properties its masks promise."""

import math

import pytest
import torch

from adautomix.models.generator import MixBlock
from adautomix.utils.errors import UserError


def block_of(channels=6, **options):
    torch.manual_seed(0)
    block = MixBlock(channels, **options)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def features_of(n_mix=3, batch=2, channels=6, size=(3, 3)):
    return torch.randn(n_mix, batch, channels, *size, generator=torch.Generator().manual_seed(1))


def slow_logits(block, features):
    """Eq. 1 as it is written: for every sample, pair, and position."""
    n_mix, batch, _, height, width = features.shape
    out = torch.zeros(batch, n_mix, height * width)
    for b in range(batch):
        q, k = (
            [conv(features[n, b][None]).relu()[0].flatten(1) for n in range(n_mix)] for conv in (block.query, block.key)
        )
        v = [block.value(features[n, b][None])[0].flatten() for n in range(n_mix)]
        for n in range(n_mix):
            for p in range(height * width):
                scores = sum(q[n][:, p] @ k[i] for i in range(n_mix) if i != n) / math.sqrt(len(q[n]))
                out[b, n, p] = (scores.exp() / scores.exp().sum()) @ v[n]
    return out.view(batch, n_mix, height, width)


@pytest.mark.parametrize("n_mix", [2, 3, 5])
@pytest.mark.parametrize("size", [(3, 3), (2, 5)])
def test_logits_equal_the_equation_written_as_loops(n_mix, size):
    block, features = block_of(), features_of(n_mix, size=size)
    torch.testing.assert_close(block.logits(features, torch.full((n_mix,), 1 / n_mix)), slow_logits(block, features))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("n_mix", [2, 4])
def test_masks_sum_to_one_at_every_pixel_and_have_the_size_asked_for(n_mix, mode):
    block, features, lam = block_of(), features_of(n_mix, size=(3, 4)), torch.full((n_mix,), 1 / n_mix)
    masks = block(features, lam, 4, mode)
    assert masks.shape == (2, n_mix, 12, 16)
    assert masks.min() >= 0
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 12, 16))
    assert block(features, lam, (7, 9), mode).shape == (2, n_mix, 7, 9)


@pytest.mark.parametrize("lam_channel", [False, True])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_permuting_the_inputs_permutes_the_masks(lam_channel, norm):
    block, features = block_of(lam_channel=lam_channel, norm=norm), features_of(3)
    lam, order = torch.tensor([0.5, 0.3, 0.2]), [2, 0, 1]
    masks = block(features, lam, 2)
    torch.testing.assert_close(block(features[order], lam[order], 2), masks[:, order], atol=1e-5, rtol=1e-5)


def test_lam_for_the_batch_and_for_every_image_agree():
    block, features, lam = block_of(lam_channel=True), features_of(3, batch=4), torch.tensor([0.5, 0.3, 0.2])
    torch.testing.assert_close(block(features, lam, 2), block(features, lam.expand(4, 3), 2))
    other = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    assert not torch.allclose(block(features, lam, 2), block(features, other, 2), atol=1e-3)


def test_without_the_lam_channel_lam_does_not_matter():
    block, features = block_of(), features_of(2)
    first, second = (block(features, torch.tensor([share, 1 - share]), 2) for share in (0.1, 0.7))
    assert torch.equal(first, second)


def test_two_samples_attend_to_each_other():
    block, features = block_of(), features_of(2)
    before = block.logits(features, torch.tensor([0.5, 0.5]))
    changed = features.clone()
    changed[1] += 1.0
    after = block.logits(changed, torch.tensor([0.5, 0.5]))
    assert not torch.allclose(before[:, 0], after[:, 0], atol=1e-4)  # the first sample's map follows the second's keys


def test_masks_start_near_equal_shares():
    torch.manual_seed(0)
    masks = MixBlock(64)(torch.randn(3, 2, 64, 4, 4), torch.full((3,), 1 / 3), 4)
    assert (masks - 1 / 3).abs().max() < 0.05


def test_relu_of_the_released_code_matters_and_can_be_switched_off():
    features, lam = features_of(2), torch.tensor([0.5, 0.5])
    with_relu, without = (block_of(activation=a)(features, lam, 2) for a in ("relu", None))
    assert (with_relu - without).abs().max() > 0.01


def test_under_autocast_masks_are_float32_and_stay_close():
    """Stated error: 0.05 of a mask with weights 50 times the first ones, from bfloat16 in the projections alone."""
    block, features, lam = block_of(32), features_of(3, channels=32, size=(8, 8)), torch.full((3,), 1 / 3)
    exact = block(features, lam, 4)
    with torch.autocast("cpu", torch.bfloat16):
        masks = block(features, lam, 4)
    assert masks.dtype == torch.float32
    assert 0 < (masks - exact).abs().max() < 0.05
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 32, 32))


def test_norm_drops_the_bias_and_normalises_every_slot_by_itself():
    block = MixBlock(6, norm="batch").train()
    assert block.query.bias is None
    assert block.value.bias is not None
    features = features_of(2, batch=8)
    shifted = features.clone()
    shifted[1] *= 10  # the other slot's scale must not reach slot 0's queries
    same = [block._project(f, block.query, block.query_norm)[0] for f in (features, shifted)]
    torch.testing.assert_close(*same)


@pytest.mark.parametrize("options", [{"norm": "layer"}, {"activation": "gelu"}, {"reduction": 0}, {"reduction": 7}])
def test_options_that_do_not_exist_are_refused(options):
    with pytest.raises(UserError):
        MixBlock(6, **options)
