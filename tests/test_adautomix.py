"""AutoMix and AdAutoMix: where gradients go, signs, draws, the margin, options."""

from dataclasses import replace

import pytest
import torch
from conftest import tiny_batch, tiny_classifier
from learned import EVERY, LEARNED, begin, grads, middling

from adautomix.classifier import Classifier
from adautomix.errors import UserError
from adautomix.generator import MixBlock
from adautomix.losses import cosine_agreement, mask_penalty, soft_cross_entropy
from adautomix.methods import make_method
from adautomix.methods.adautomix import AdAutoMix


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


@pytest.mark.parametrize(("n_mix", "at_the_upper_end"), [(2, True), (3, False)])
def test_the_upper_end_of_the_margin_counts_for_two_images_only(n_mix, at_the_upper_end):
    method, _ = begin("adautomix", {"n_mix": n_mix, "margin": 0.25})
    rest = [1.0] * (n_mix - 1)
    lopsided = [method.too_lopsided(torch.tensor([[first, *rest]])) for first in (0.25, 0.5, 0.75, 0.76)]
    assert lopsided == [True, False, at_the_upper_end, True]


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


def test_mask_penalty_is_zero_within_its_margin_and_grows_beyond():
    mask = torch.stack([torch.full((2, 4, 4), 0.3), torch.full((2, 4, 4), 0.7)], dim=1)
    penalties = [mask_penalty(mask, torch.tensor([[lam, 1 - lam]]).expand(2, 2)).item() for lam in (0.3, 0.38, 0.6)]
    assert penalties[:2] == [0.0, 0.0]
    assert penalties[2] == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adautomix", {"n_mix": 1}, "need n_mix >= 2"),
        ("adautomix", {"objective": "papr"}, "objective must be one of released, paper, cooperative"),
        ("adautomix", {"beta": 1.5}, "beta and alpha_loss must be in"),
        ("adautomix", {"margin": 0.5}, "margin must be in"),
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


def test_losses_are_computed_in_float32_whatever_the_logits_precision():
    logits = torch.tensor([[100.0, 99.5, 98.0]]).bfloat16()
    targets = torch.tensor([[0.2, 0.3, 0.5]])
    exact = -(targets * logits.float().log_softmax(dim=1)).sum()
    loss = soft_cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact)
    index, lam = torch.tensor([[0]]), torch.ones(1, 1)
    assert cosine_agreement(logits, logits, index, lam).dtype == torch.float32


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


def test_the_cooperative_generator_is_not_trained_by_the_students_loss():
    method, ctx = begin("adautomix", COOPERATIVE)
    out = method.step(*tiny_batch(6), ctx, middling(method, ctx))
    assert all(g is None for g in grads(out.losses["student"], method.generator))
    assert any(g.abs().max() > 0 for g in grads(out.losses["generator"], method.generator))


def test_training_moves_the_cooperative_generator_the_teachers_way():
    method, ctx = begin("adautomix", COOPERATIVE)
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
    assert seen[-1] < seen[0]
