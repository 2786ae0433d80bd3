"""Whole steps of AdAutoMix and AutoMix against the authors' released code: losses, gradients, weights after a step?"""

import pytest
import torch
from helpers.golden_arrays import MARGIN_BUG, SAME_WEIGHTS, close, files, golden, tensor
from helpers.golden_steps import adautomix_for, automix_for, start

from adautomix.methods.learned import teacher_pass, within_margin
from adautomix.methods.ops.mixing import blend
from adautomix.models import ema


def check_step(d, method):
    """Replay the step; check masks, images, losses, every gradient, and all weights after SGD and EMA."""
    ctx, draws, student_names, teacher_names, generator_names = start(d, method)
    x, y = tensor(d["images"]), tensor(d["labels"]).long()
    out = method.step(x, y, ctx, draws)
    made, shown = out.mixed
    close(made.mask, d["mask_mb"])
    close(made.x, d["mixed_mb"])
    close(shown.x, d["mixed_bb"])
    assert within_margin(draws.lam, method.margin) == bool(d["fallback"])
    tap = teacher_pass(ctx.teacher, x).tap
    close(method.mix_by_masks(x, ctx.targets(y), tap, draws.index, draws.lam).mask, d["mask_bb_generator"])
    total = sum(out.losses.values())
    total.backward()
    close(total, d["loss_total"])
    for name, key in {"student_mixed": "mixed", "student_clean": "clean", "student_plain": "comix"}.items():
        if f"loss_ce_student_{key}" in d:
            close(out.terms[name], d[f"loss_ce_student_{key}"])
    close(out.terms["teacher_mixed"], d["loss_ce_teacher_mixed"])
    generator = method.generator
    for name in generator_names:
        close(generator.get_parameter(name).grad, d["grad_total_mix_" + name.replace(".", "_")])
    for name, theirs in student_names.items():
        close(ctx.student.get_parameter(name).grad, d[f"grad_total_{theirs}"])
    assert all(p.grad is None for p in ctx.teacher.parameters())
    rate, momentum, decay = (float(v) for v in d["sgd"])
    parameters = [*ctx.student.parameters(), *generator.parameters()]
    torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay).step()
    ema.update(ctx.teacher, ctx.student, 1 - float(d["ema_momentum"]), buffers=False)
    for model, names in ((ctx.student, student_names), (ctx.teacher, teacher_names)):
        for name, theirs in names.items():
            close(model.get_parameter(name), d[f"after_{theirs}"], SAME_WEIGHTS)
    for name in generator_names:
        close(generator.get_parameter(name), d["after_mix_" + name.replace(".", "_")], SAME_WEIGHTS)


STEPS = [p for p in files("step") if p.stem != MARGIN_BUG]


@pytest.mark.parametrize("path", STEPS, ids=lambda p: p.stem)
def test_a_step_of_adautomix(path):
    d = golden(path)
    check_step(d, adautomix_for(d))


@pytest.mark.parametrize("path", STEPS, ids=lambda p: p.stem)
def test_terms_of_adautomix_and_their_gradients_one_by_one(path):
    d = golden(path)
    method = adautomix_for(d)
    ctx, draws, _, _, names = start(d, method)
    ctx.step = 0  # the cosine, which our step leaves out where it is not used
    x, y = tensor(d["images"]), tensor(d["labels"]).long()
    out = method.step(x, y, ctx, draws)
    terms = out.graph_terms
    close(terms["cosine"], d["loss_cosine"])
    close(terms["teacher_mixed"], d["loss_ce_teacher_mixed"])
    for term, key in (("teacher_mixed", "ce_teacher"), ("cosine", "cos")):
        parameters = [method.generator.get_parameter(name) for name in names]
        for name, grad in zip(names, torch.autograd.grad(terms[term], parameters, retain_graph=True), strict=True):
            close(grad, d[f"grad_{key}_mix_" + name.replace(".", "_")])
    own = terms if bool(d["adversarial"]) else {"teacher_mixed": terms["teacher_mixed"]}
    close(method.generator_loss(own), d["loss_k_term"])


@pytest.mark.parametrize("path", files("automix"), ids=lambda p: p.stem)
def test_a_step_of_automix(path):
    d = golden(path)
    method = automix_for(d)
    assert float(d["mask_penalty_margin"]) == 0.1
    check_step(d, method)
    ctx, draws, *_ = start(d, method)
    out = method.step(tensor(d["images"]), tensor(d["labels"]).long(), ctx, draws)
    close(out.terms["mask_penalty"], d["loss_mask_penalty"])


def test_the_ports_margin_bug_is_as_documented_and_not_ours():
    """The port replaces the student's masks although lam_0 is far from the margin; all else is equal."""
    (path,) = (p for p in files("step") if p.stem == MARGIN_BUG)
    d = golden(path)
    method = adautomix_for(d)
    ctx, draws, *_ = start(d, method)
    x, y = tensor(d["images"]), tensor(d["labels"]).long()
    out = method.step(x, y, ctx, draws)
    made, shown = out.mixed
    first = float(draws.lam[0, 0])
    assert method.margin < first < 1 - method.margin
    assert bool(d["fallback"])
    assert not within_margin(draws.lam, method.margin)
    close(made.x, d["mixed_mb"])
    close(shown.mask, d["mask_bb_generator"])
    close(blend(x, draws.index, draws.lam), d["mixed_bb"])  # the port's student sees the plain mix ...
    assert (shown.x - tensor(d["mixed_bb"])).abs().max() > 0.01  # ... and ours the generator's
    close(out.terms["student_clean"], d["loss_ce_student_clean"])
    close(out.terms["student_plain"], d["loss_ce_student_comix"])
    close(out.terms["teacher_mixed"], d["loss_ce_teacher_mixed"])
    close(method.generator_loss(out.terms), d["loss_k_term"])
    assert abs(float(out.terms["student_mixed"]) - float(d["loss_ce_student_mixed"])) > 1e-3
    close(out.terms["student_plain"], d["loss_ce_student_mixed"])
