"""AutoMix and AdAutoMix: where gradients go, signs, draws, passes, the teacher's statistics."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from conftest import tiny_batch, tiny_classifier

from adautomix.classifier import Classifier
from adautomix.config import EmaConfig
from adautomix.errors import UserError
from adautomix.losses import cosine_agreement, mask_penalty, soft_cross_entropy
from adautomix.methods import make_method
from adautomix.methods.adautomix import AdAutoMix
from adautomix.methods.base import Context

LEARNED = [("automix", {}), ("adautomix", {}), ("adautomix", {"n_mix": 2}), ("adautomix", {"objective": "paper"})]
EVERY = pytest.mark.parametrize(("name", "options"), LEARNED)


def begin(name, options=None, step=0, seed=0, ema=None):
    student = tiny_classifier()
    torch.manual_seed(3)
    method = make_method(name, student, options or {})
    for parameter in method.generator.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ctx = Context.start(student, steps=10, seed=seed, ema=ema)
    with torch.no_grad():
        for parameter in ctx.teacher.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    ctx.step = step
    return method, ctx


def middling(method, ctx, batch=6):
    """Return draws far from the margin."""
    while True:
        draws = method.draw(batch, ctx)
        if 0.2 < draws.lam[0, 0] < 0.8:
            return draws


def grads(loss, module):
    parameters = list(module.parameters())
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


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


@pytest.mark.parametrize("n_mix", [2, 3])
def test_in_paper_the_generators_gradient_is_that_of_eq_4_uphill(n_mix):
    method, ctx = begin("adautomix", {"objective": "paper", "n_mix": n_mix, "beta": 0.3})
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


@pytest.mark.parametrize(
    ("name", "options", "student", "teacher"),
    [
        ("automix", {}, 2, 2),
        ("adautomix", {"n_mix": 2}, 2, 2),
        ("adautomix", {}, 3, 2),
        ("adautomix", {"objective": "paper"}, 3, 2),
    ],
)
def test_a_step_makes_one_clean_and_one_mixed_teacher_pass_and_no_extra_student_pass(name, options, student, teacher):
    method, ctx = begin(name, options)
    passes = Counter()
    ctx.student.register_forward_pre_hook(lambda *args: passes.update(["student"]))
    ctx.teacher.register_forward_pre_hook(lambda *args: passes.update(["teacher"]))
    method.step(*tiny_batch(6), ctx)
    assert passes == {"student": student, "teacher": teacher}


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
    seen = Counter(method.draw(4, ctx).lam.shape[1] for _ in range(60))
    assert set(seen) == {2, 3, 4}


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


@pytest.mark.parametrize("batch", [2, 5])
@EVERY
def test_small_and_odd_batches_and_images_that_are_not_square(name, options, batch):
    method, ctx = begin(name, options)
    x = torch.rand(batch, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    out = method.step(x, torch.arange(batch), ctx, middling(method, ctx, batch))
    assert out.mixed[0].mask.shape[-2:] == (8, 12)
    assert all(torch.isfinite(loss) for loss in out.losses.values())


def test_training_moves_the_generator_against_the_teacher_as_released():
    """On adversarial steps alone, the teacher's loss on the generator's mix must grow."""
    method, ctx = begin("adautomix", {"adversarial_interval": 1, "beta": 1.0})
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
    assert seen[-1] > seen[0]


def test_with_batch_statistics_the_clean_batch_counts_n_more_times_without_a_pass():
    method, ctx = begin("adautomix", ema=EmaConfig(teacher_bn="batch"))
    slow = begin("adautomix", ema=EmaConfig(teacher_bn="batch"))[1].teacher
    slow.load_state_dict(ctx.teacher.state_dict())
    x, y = tiny_batch(6)
    draws = method.draw(6, ctx)
    out = method.step(x, y, ctx, draws)
    for images in (x, out.mixed[0].x, *[x[row] for row in draws.index_generator]):  # the released order of passes
        slow(images)
    for name, buffer in slow.named_buffers():
        torch.testing.assert_close(ctx.teacher.get_buffer(name), buffer, atol=1e-5, rtol=1e-5)


def test_with_averaged_statistics_no_pass_moves_the_teacher():
    method, ctx = begin("adautomix")
    before = {k: v.clone() for k, v in ctx.teacher.state_dict().items()}
    method.step(*tiny_batch(6), ctx)
    assert all(torch.equal(v, before[k]) for k, v in ctx.teacher.state_dict().items())


def test_mask_penalty_is_zero_within_its_margin_and_grows_beyond():
    mask = torch.stack([torch.full((2, 4, 4), 0.3), torch.full((2, 4, 4), 0.7)], dim=1)
    penalties = [mask_penalty(mask, torch.tensor([[lam, 1 - lam]]).expand(2, 2)).item() for lam in (0.3, 0.38, 0.6)]
    assert penalties[:2] == [0.0, 0.0]
    assert penalties[2] == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adautomix", {"n_mix": 1}, "need n_mix >= 2"),
        ("adautomix", {"objective": "papr"}, "objective must be one of released, paper"),
        ("adautomix", {"beta": 1.5}, "beta and alpha_loss must be in"),
        ("adautomix", {"margin": 0.5}, "margin must be in"),
        ("automix", {"mode": "cubic"}, "mode must be nearest or bilinear"),
        ("adautomix", {"activation": "gelu"}, "activation 'relu' or None"),
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
