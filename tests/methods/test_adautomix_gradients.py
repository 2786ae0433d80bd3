"""AutoMix and AdAutoMix: which network does each loss train, for images and batches of any size?"""

import pytest
import torch
from helpers.learned import EVERY, LEARNED, begin, grads, middling
from helpers.tiny import tiny_batch


@pytest.mark.parametrize("step", [0, 1])
@EVERY
def test_the_teacher_never_gets_a_gradient(name, options, step):
    method, ctx = begin(name, options, step)
    sum(method.step(*tiny_batch(6), ctx).losses.values()).backward()
    assert all(p.grad is None for p in ctx.teacher.parameters())


@pytest.mark.parametrize("step", [0, 1])
@EVERY
def test_the_generators_loss_does_not_reach_the_student(name, options, step):
    method, ctx = begin(name, options, step)
    out = method.step(*tiny_batch(6), ctx, middling(method, ctx))
    assert all(g is None for g in grads(out.losses["generator"], ctx.student))
    assert any(g.abs().max() > 0 for g in grads(out.losses["generator"], method.generator))


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(("name", "options"), [c for c in LEARNED if c[1].get("objective") != "paper"])
def test_as_released_the_students_loss_leaves_the_generator_without_gradient(name, options, step):
    method, ctx = begin(name, options, step)
    out = method.step(*tiny_batch(6), ctx)
    assert all(g is None for g in grads(out.losses["student"], method.generator))


@pytest.mark.parametrize("size", [(8, 12), (9, 13)])
@pytest.mark.parametrize("batch", [2, 5])
@EVERY
def test_small_and_odd_batches_and_images_that_are_not_square(name, options, batch, size):
    method, ctx = begin(name, options)
    x = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    out = method.step(x, torch.arange(batch), ctx, middling(method, ctx, batch))
    assert out.mixed[0].mask.shape[-2:] == size
    sum(out.losses.values()).backward()
    for module in (ctx.student, method.generator):
        assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
