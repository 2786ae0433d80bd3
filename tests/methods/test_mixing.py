"""Mixing against slow loops and closed forms."""

import math

import pytest
import torch
from helpers.tiny import tiny_batch

from adautomix.methods.ops.mixing import (
    blend,
    draw_index,
    mask_area_gap,
    mask_entropy,
    mixed_from_lam,
    mixed_from_mask,
    sample_beta,
    sample_lam,
)


def slow_blend(x, index, mask):
    out = torch.zeros_like(x)
    for b in range(len(x)):
        for n in range(len(index)):
            out[b] += mask[b, n] * x[index[n, b]]
    return out


@pytest.mark.parametrize("n_mix", [2, 3, 4])
def test_blend_equals_a_loop_over_images_and_slots(n_mix):
    x, _ = tiny_batch(5)
    rng = torch.Generator().manual_seed(0)
    index = draw_index(5, n_mix, rng, keep_first=n_mix == 2)
    mask = torch.rand(5, n_mix, 8, 8, generator=rng).softmax(dim=1)
    torch.testing.assert_close(blend(x, index, mask), slow_blend(x, index, mask))
    lam = sample_lam(5, n_mix, 1.0, rng, per_sample=True)
    torch.testing.assert_close(blend(x, index, lam), slow_blend(x, index, lam[:, :, None, None].expand(-1, -1, 8, 8)))


def test_blend_leaves_its_input_untouched():
    x, _ = tiny_batch()
    before = x.clone()
    blend(x, torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]]), torch.full((4, 2), 0.5))
    assert torch.equal(x, before)


def test_blend_passes_the_gradient_to_the_mask():
    x, _ = tiny_batch()
    index = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    mask = torch.rand(4, 2, 8, 8, requires_grad=True)
    blend(x, index, mask).sum().backward()
    expected = torch.stack([x[index[n]].sum(dim=1) for n in range(2)], dim=1)
    torch.testing.assert_close(mask.grad, expected)


def test_mixed_labels_count_the_images_that_were_mixed():
    targets = torch.eye(5)[torch.tensor([0, 1, 2, 3])]
    index = torch.tensor([[0, 1, 2, 3], [1, 0, 2, 2]])
    lam = torch.tensor([[0.75, 0.25]]).expand(4, 2)
    y = blend(targets, index, lam)
    expected = torch.tensor(
        [[0.75, 0.25, 0, 0, 0], [0.25, 0.75, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0.25, 0.75, 0]], dtype=torch.float
    )
    torch.testing.assert_close(y, expected)


def test_mask_without_lam_gives_labels_by_area():
    x, _ = tiny_batch()
    mask = torch.zeros(4, 2, 8, 8)
    mask[:, 1, :4, :4] = 1
    mask[:, 0] = 1 - mask[:, 1]
    mixed = mixed_from_mask(x, torch.eye(5)[:4], torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), mask)
    torch.testing.assert_close(mixed.lam, torch.tensor([[0.75, 0.25]]).expand(4, 2))


@pytest.mark.parametrize("n_mix", [2, 3, 5])
def test_lam_rows_sum_to_one_and_differ_only_per_sample(n_mix):
    rng = torch.Generator().manual_seed(0)
    shared, own = (sample_lam(7, n_mix, 1.0, rng, per_sample=p) for p in (False, True))
    for lam in (shared, own):
        torch.testing.assert_close(lam.sum(dim=1), torch.ones(7))
        assert (lam >= 0).all()
    assert len(shared.unique(dim=0)) == 1
    assert len(own.unique(dim=0)) == 7


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_beta_draws_have_the_moments_of_beta(alpha):
    draws = sample_beta((40_000,), alpha, torch.Generator().manual_seed(0))[:, 0]
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(draws.mean() - 0.5) < 4 * (variance / 40_000) ** 0.5
    assert abs(draws.var() / variance - 1) < 0.05


def test_three_slot_lam_is_normalised_uniforms_not_dirichlet():
    lam = sample_lam(40_000, 3, 1.0, torch.Generator().manual_seed(0), per_sample=True)
    # Var of u/(u+v+w) for uniforms is 0.0320 by numerical integration; Dirichlet(1,1,1) has 1/18 = 0.0556.
    assert abs(lam[:, 0].var() - 0.0320) < 0.002


def test_same_generator_state_gives_the_same_draws():
    first, second = (sample_lam(4, 2, 1.0, torch.Generator().manual_seed(3), per_sample=True) for _ in range(2))
    assert torch.equal(first, second)


def test_index_rows_are_permutations_and_slot_0_is_the_batch():
    index = draw_index(6, 3, torch.Generator().manual_seed(0))
    assert torch.equal(index[0], torch.arange(6))
    for row in index:
        assert torch.equal(row.sort().values, torch.arange(6))
    free = draw_index(64, 3, torch.Generator().manual_seed(0), keep_first=False)
    assert not torch.equal(free[0], torch.arange(64))


def test_detach_keeps_values_and_drops_the_graph():
    x, _ = tiny_batch()
    lam = torch.full((4, 2), 0.5, requires_grad=True)
    mixed = mixed_from_lam(x, torch.eye(5)[:4], torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), lam)
    assert mixed.x.requires_grad
    cut = mixed.detach()
    assert not cut.x.requires_grad
    assert not cut.lam.requires_grad
    assert torch.equal(cut.x, mixed.x)


def test_entropy_of_a_mask_is_0_for_a_cut_and_log_n_for_an_even_blend():
    cut = torch.zeros(2, 3, 4, 4)
    cut[:, 1] = 1
    assert mask_entropy(cut).item() == 0
    assert mask_entropy(torch.full((2, 3, 4, 4), 1 / 3)).item() == pytest.approx(math.log(3), abs=1e-6)
    half = torch.cat([cut[:, :, :2], torch.full((2, 3, 2, 4), 1 / 3)], dim=2)
    assert mask_entropy(half).item() == pytest.approx(math.log(3) / 2, abs=1e-6)


def test_the_area_gap_is_the_mean_distance_between_areas_and_label():
    mask = torch.stack([torch.full((2, 4, 4), 0.3), torch.full((2, 4, 4), 0.7)], dim=1)
    assert mask_area_gap(mask, torch.tensor([[0.3, 0.7], [0.5, 0.5]])).item() == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("keep_first", [True, False])
def test_a_gradient_reaches_the_shares(keep_first):
    x, _ = tiny_batch(5)
    rng = torch.Generator().manual_seed(0)
    index = draw_index(5, 2, rng, keep_first=keep_first)
    lam = sample_lam(5, 2, 1.0, rng, per_sample=True).clone().requires_grad_()
    blend(x, index, lam).sum().backward()
    wanted = torch.stack([x[row].sum(dim=(1, 2, 3)) for row in index], dim=1)
    torch.testing.assert_close(lam.grad, wanted)
