"""The paper's objective: is the generator's gradient that of Eq. 4, and the student's as if there were none?"""

import pytest
import torch
from helpers.learned import begin, grads, middling
from helpers.tiny import tiny_batch

from adautomix.methods.ops.losses import cosine_agreement, soft_cross_entropy


def paper_terms(method, ctx, x, y, draws):
    """Return L_amce(student), L_amce(teacher) and L_cosine with plain graphs to the generator, by hand."""
    features = ctx.teacher(x, tap=True).tap[draws.index]
    mask = method.generator(features, draws.lam, 2, method.mode)
    x_mix = sum(mask[:, n : n + 1] * x[draws.index[n]] for n in range(len(draws.index)))
    y_mix = sum(draws.lam[:, n : n + 1] * ctx.targets(y)[draws.index[n]] for n in range(len(draws.index)))
    student = soft_cross_entropy(ctx.student(x_mix, heads=("mix",)).logits["mix"], y_mix)
    logits = ctx.teacher(x_mix, heads=("mix",)).logits["mix"]
    clean = ctx.teacher(x, heads=("mix",)).logits["mix"]
    return student, soft_cross_entropy(logits, y_mix), cosine_agreement(logits, clean, draws.index, draws.lam)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("n_mix", [2, 3])
def test_in_paper_the_generators_gradient_is_that_of_eq_4_uphill_at_every_step(n_mix, step):
    method, ctx = begin("adautomix", {"objective": "paper", "n_mix": n_mix, "beta": 0.3}, step)
    ctx.student.eval()  # the same statistics in both computations
    x, y = tiny_batch(6)
    draws = middling(method, ctx)
    out = method.step(x, y, ctx, draws)
    sum(out.losses.values()).backward()
    ours = [p.grad for p in method.generator.parameters()]
    student, teacher, cosine = paper_terms(method, ctx, x, y, draws)
    each = [grads(term, method.generator) for term in (student, teacher, cosine)]
    for grad, s, t, c in zip(ours, *each, strict=True):
        assert min(v.abs().max() for v in (s, t, c)) > 0
        torch.testing.assert_close(-grad, s - 0.3 * t + 0.7 * c, atol=1e-6, rtol=1e-4)


def test_in_paper_the_objective_rises_along_a_small_generator_step():
    method, ctx = begin("adautomix", {"objective": "paper"})
    ctx.student.eval()
    x, y = tiny_batch(6)
    draws = middling(method, ctx)

    def objective():
        student, teacher, cosine = paper_terms(method, ctx, x, y, draws)
        return float(student.detach() - 0.3 * teacher.detach() + 0.7 * cosine.detach())

    before = objective()
    sum(method.step(x, y, ctx, draws).losses.values()).backward()
    with torch.no_grad():
        for parameter in method.generator.parameters():
            parameter -= 1e-2 * parameter.grad
    assert objective() > before


def test_in_paper_the_student_goes_downhill_as_if_the_reversal_were_not_there():
    method, ctx = begin("adautomix", {"objective": "paper"})
    ctx.student.eval()
    x, y = tiny_batch(6)
    draws = middling(method, ctx)
    out = method.step(x, y, ctx, draws)
    amce, _, _ = paper_terms(method, ctx, x, y, draws)
    plain = sum(draws.lam[:, n, None, None, None] * x[draws.index[n]] for n in range(3))
    mce = soft_cross_entropy(ctx.student(plain, heads=("mix",)).logits["mix"], out.mixed[0].y)
    ace = soft_cross_entropy(ctx.student(x).logits["one"], ctx.targets(y))
    expected = grads(amce + 0.5 * mce + 0.5 * ace, ctx.student)
    for ours, theirs in zip(grads(out.losses["student"], ctx.student), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
