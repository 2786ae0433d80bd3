"""FMix: the mask has the area asked for, its noise the spectrum asked for."""

import math

import pytest
import torch
from helpers.tiny import tiny_batch

from adautomix.methods import make_method
from adautomix.methods.fmix import FMixDraws, highest, low_frequency_noise
from adautomix.utils.errors import UserError

SHARES = torch.tensor([0.0, 0.03, 0.3, 0.5, 0.77, 1.0])


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (32, 32)])
def test_the_masks_area_is_the_share_to_a_pixel(size):
    noise = torch.rand(len(SHARES), *size, generator=torch.Generator().manual_seed(0))
    mask = highest(noise, SHARES)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert ((mask.sum(dim=(1, 2)) - SHARES * math.prod(size)).abs() <= 0.5 + 1e-4).all()


def test_the_mask_lies_where_the_noise_is_highest():
    noise = torch.rand(1, 6, 7, generator=torch.Generator().manual_seed(1))
    mask = highest(noise, torch.tensor([0.4]))
    chosen = sorted(noise.flatten().tolist(), reverse=True)[: round(0.4 * 42)]
    assert sorted(noise[mask.bool()].tolist(), reverse=True) == pytest.approx(chosen)


def test_soft_edges_keep_the_area_and_fall_with_the_noise():
    noise = torch.rand(len(SHARES), 16, 16, generator=torch.Generator().manual_seed(0))
    mask = highest(noise, SHARES, max_soft=0.2)
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert ((mask.sum(dim=(1, 2)) - SHARES * 256).abs() <= 0.51).all()
    order = noise[3].flatten().argsort(descending=True)
    falling = mask[3].flatten()[order]
    assert (falling.diff() <= 1e-6).all()
    assert ((falling > 0) & (falling < 1)).sum() == pytest.approx(2 * 0.2 * 256, abs=3)


@pytest.mark.parametrize("decay", [1.0, 3.0])
def test_the_noises_amplitude_falls_with_the_power_asked_for(decay):
    rng = torch.Generator().manual_seed(0)
    white = torch.view_as_complex(torch.randn(200, 64, 33, 2, generator=rng))
    power = torch.fft.rfft2(low_frequency_noise(white, (64, 64), decay)).abs().square().mean(dim=0)
    frequency = torch.arange(2, 20)
    slope = (power[0, 20] / power[0, 2]).log() / (frequency[-1] + 1.0).div(2).log() / 2
    assert slope.item() == pytest.approx(-decay, abs=0.15)


@pytest.mark.parametrize("per_sample", [False, True])
def test_images_and_labels_follow_the_mask(start, per_sample):
    method, ctx = start("fmix", alpha=1.0, per_sample=per_sample)
    x, y = tiny_batch()
    draws = method.draw(4, ctx)
    mixed = method.mix(x, y, ctx, draws)
    for b in range(4):
        other = int(draws.index[1, b])
        expected = torch.where(mixed.mask[b, 0].bool(), x[b], x[other])
        torch.testing.assert_close(mixed.x[b], expected)
        assert mixed.lam[b, 0].item() == pytest.approx(mixed.mask[b, 0].mean().item())
        assert mixed.lam[b, 0].item() == pytest.approx(draws.lam[b, 0].item(), abs=0.5 / 64 + 1e-6)
    assert torch.equal(mixed.mask[0], mixed.mask[1]) != per_sample


def test_the_mask_does_not_depend_on_the_batch_but_on_the_seed(start):
    method, ctx = start("fmix")
    x, y = tiny_batch()
    index, lam = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), torch.tensor([[0.5, 0.5]]).expand(4, 2)
    first, again, other = (method.mix(x, y, ctx, FMixDraws(index, lam, seed)).mask for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_options_out_of_range_are_refused(student):
    with pytest.raises(UserError, match=r"max_soft in \[0,0.5\], got 3.0 and 0.9"):
        make_method("fmix", student, {"max_soft": 0.9})
