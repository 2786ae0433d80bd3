"""The released and the cooperative objective: which signs, at which steps, and which way does the generator go?"""

from dataclasses import replace

import pytest
import torch
from helpers.learned import begin, middling
from helpers.tiny import tiny_batch


@pytest.mark.parametrize(("step", "signs"), [(0, (-0.3, 0.7)), (1, (1.0, 0.0)), (2, (-0.3, 0.7))])
def test_released_alternates_and_has_the_signs_of_the_released_code(step, signs):
    method, ctx = begin("adautomix", step=step)
    out = method.step(*tiny_batch(6), ctx)
    cosine = out.terms.get("cosine", torch.tensor(0.0))
    assert ("cosine" in out.terms) == (step % 2 == 0)
    expected = signs[0] * out.terms["teacher_mixed"] + signs[1] * cosine
    torch.testing.assert_close(out.losses["generator"].detach(), expected)


def test_the_interval_of_adversarial_steps_can_be_chosen():
    method, _ = begin("adautomix", {"adversarial_interval": 3})
    assert [method.adversarial(step) for step in range(5)] == [True, False, False, True, False]


def teachers_losses(options):
    """Return the teacher's loss on the generator's mix, over ten steps of the generator on one batch."""
    method, ctx = begin("adautomix", options)
    x, y = tiny_batch(6)
    draws = middling(method, ctx)
    optimizer = torch.optim.SGD(method.generator.parameters(), lr=0.1)
    seen = []
    for _ in range(10):
        out = method.step(x, y, ctx, draws)
        optimizer.zero_grad()
        out.losses["generator"].backward()
        optimizer.step()
        seen.append(out.terms["teacher_mixed"].item())
    return seen


def test_training_moves_the_generator_against_the_teacher_as_released():
    """On adversarial steps alone, the teacher's loss on the generator's mix must grow."""
    seen = teachers_losses({"adversarial_interval": 1, "beta": 1.0})
    assert seen[-1] > seen[0]


COOPERATIVE = {"objective": "cooperative"}


@pytest.mark.parametrize("n_mix", [2, 3])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_cooperative_generator_minimises_the_teachers_loss_at_every_step(step, n_mix):
    method, ctx = begin("adautomix", COOPERATIVE | {"n_mix": n_mix}, step)
    out = method.step(*tiny_batch(6), ctx)
    assert not method.adversarial(step)
    assert "cosine" not in out.terms
    assert torch.equal(out.losses["generator"].detach(), out.terms["teacher_mixed"])


@pytest.mark.parametrize(("objective", "heads"), [("cooperative", ()), ("released", ("mix",)), ("paper", ("mix",))])
def test_without_a_cosine_the_clean_teacher_pass_runs_no_head(objective, heads):
    method, ctx = begin("adautomix", {"objective": objective})
    asked = []
    ctx.teacher.register_forward_pre_hook(lambda module, args, given: asked.append(given["heads"]), with_kwargs=True)
    method.step(*tiny_batch(6), ctx)
    assert asked == [heads, ("mix",)]  # the clean pass, then the mixed one


def test_cooperative_is_the_released_objective_without_its_adversarial_steps():
    x, y = tiny_batch(6)
    losses = {}
    for objective in ("cooperative", "released"):
        for step in (0, 1):
            method, ctx = begin("adautomix", {"objective": objective}, step)
            out = method.step(x, y, ctx, middling(method, ctx))
            losses[objective, step] = {name: loss.item() for name, loss in out.losses.items()}
    assert losses["cooperative", 0] == losses["cooperative", 1] == losses["released", 1]
    assert losses["cooperative", 0]["student"] == losses["released", 0]["student"]
    assert losses["cooperative", 0]["generator"] != losses["released", 0]["generator"]


def test_training_moves_the_cooperative_generator_the_teachers_way():
    seen = teachers_losses(COOPERATIVE)
    assert seen[-1] < seen[0]


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_that_is_switched_off_trains_the_student_alone_with_the_same_masks(step):
    method, ctx = begin("adautomix", {"switch_off": 0.5}, step=step)
    x, y = tiny_batch(6)
    draws = replace(middling(method, ctx), trains_generator=True)
    on = method.step(x, y, ctx, draws)
    off = method.step(x, y, ctx, replace(draws, trains_generator=False))
    assert (set(on.losses), set(off.losses)) == ({"student", "generator"}, {"student"})
    assert torch.equal(on.losses["student"], off.losses["student"])
    assert torch.equal(on.mixed[1].mask, off.mixed[1].mask)
    assert set(off.terms) == {"student_clean", "student_plain", "student_mixed"}


def test_switch_off_is_the_share_of_steps_that_train_the_generator():
    method, ctx = begin("adautomix", {"switch_off": 0.8})
    trained = [method.draw(2, ctx).trains_generator for _ in range(2000)]
    assert 0.77 < sum(trained) / len(trained) < 0.83
    always, ctx = begin("adautomix")
    before = ctx.rng.get_state()
    drawn = always.draw(2, ctx)
    assert drawn.trains_generator
    ctx.rng.set_state(before)
    switched, _ = begin("adautomix", {"switch_off": 1.0})
    assert torch.equal(switched.draw(2, ctx).lam, drawn.lam)  # its own draw comes last
