"""Draws: which images are mixed, in which proportions, and when does the student see the plain mix?"""

from dataclasses import replace

import pytest
import torch
from helpers.learned import EVERY, begin, grads
from helpers.tiny import tiny_batch

from adautomix.methods.learned import within_margin


def test_draws_of_two_images_are_independent_and_keep_the_batch_in_slot_0():
    for name in ("automix", "adautomix"):
        method, ctx = begin(name, {"n_mix": 2} if name == "adautomix" else {})
        draws = method.draw(32, ctx)
        assert torch.equal(draws.index[0], torch.arange(32))
        assert torch.equal(draws.index_generator[0], torch.arange(32))
        assert not torch.equal(draws.index[1], draws.index_generator[1])
        assert not torch.equal(draws.lam, draws.lam_generator)


def test_draws_of_more_images_share_lam_and_permute_every_slot():
    method, ctx = begin("adautomix", {"n_mix": 4})
    draws = method.draw(32, ctx)
    assert draws.index.shape == (4, 32)
    assert torch.equal(draws.lam, draws.lam_generator)
    assert not torch.equal(draws.index, draws.index_generator)
    assert not torch.equal(draws.index[0], torch.arange(32))


def test_random_n_draws_every_number_up_to_n_mix():
    method, ctx = begin("adautomix", {"n_mix": 4, "random_n": True})
    seen = [method.draw(32, ctx) for _ in range(60)]
    assert {draws.lam.shape[1] for draws in seen} == {2, 3, 4}
    for draws in seen:  # two images are drawn as two images always are
        two = draws.lam.shape[1] == 2
        assert torch.equal(draws.index[0], torch.arange(32)) == two
        assert torch.equal(draws.lam, draws.lam_generator) == (not two)


@pytest.mark.parametrize("first", [0.02, 0.98])
@EVERY
def test_within_the_margin_the_student_sees_the_plain_mix_and_the_generator_still_learns(name, options, first):
    method, ctx = begin(name, options)
    x, y = tiny_batch(6)
    draws = method.draw(6, ctx)
    slots = draws.lam.shape[1]
    lam = torch.tensor([first, *[(1 - first) / (slots - 1)] * (slots - 1)]).expand(6, slots)
    draws = replace(draws, lam=lam, lam_generator=lam)
    out = method.step(x, y, ctx, draws)
    plain = sum(lam[:, n, None, None, None] * x[draws.index[n]] for n in range(slots))
    torch.testing.assert_close(out.mixed[1].x, plain)
    assert all(g is None for g in grads(out.losses["student"], method.generator))
    assert any(g.abs().max() > 0 for g in grads(out.losses["generator"], method.generator))


@pytest.mark.parametrize(("n_mix", "at_the_upper_end"), [(2, True), (3, False)])
def test_the_upper_end_of_the_margin_counts_for_two_images_only(n_mix, at_the_upper_end):
    method, _ = begin("adautomix", {"n_mix": n_mix, "margin": 0.25})
    rest = [1.0] * (n_mix - 1)
    lopsided = [within_margin(torch.tensor([[first, *rest]]), method.margin) for first in (0.25, 0.5, 0.75, 0.76)]
    assert lopsided == [True, False, at_the_upper_end, True]
