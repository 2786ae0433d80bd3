"""What the contract asks of a method's conduct: randomness, gradients, what it leaves alone, that it resumes."""

import copy
import io

import torch

from adautomix.lessons.trial import batch, start, two_steps
from adautomix.methods.base import MixMethod


def seeds(kind: type[MixMethod]) -> str | None:
    made = []
    for seed in (0, 0, 1):
        method, ctx = start(kind, seed)
        before = torch.get_rng_state()
        outs = [out for *_, out in two_steps(method, ctx, 8)]
        # Small images show lam by whole pixels only.
        asked = [out.draws.lam for out in outs if out.draws.lam is not None]
        made.append([mixed.x for out in outs for mixed in out.mixed] + asked)
        if not torch.equal(before, torch.get_rng_state()):
            return "it draws from torch's global generator; whatever is random comes from ctx.rng (generator=ctx.rng)"
    first, same, other = made
    if not all(torch.equal(a, b) for a, b in zip(first, same, strict=True)):
        return "the same seed should give the same batch, and gives another; whatever is random comes from ctx.rng"
    if all(torch.equal(a, b) for a, b in zip(first, other, strict=True)):
        return "two seeds give the same batch: nothing is mixed, or nothing is drawn from ctx.rng"
    return None


def replays(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    _, (x, y, _) = two_steps(method, ctx, 8)
    network = copy.deepcopy(ctx.student.state_dict())
    first = method.step(x, y, ctx)
    ctx.student.load_state_dict(network)
    state = ctx.rng.get_state()
    again = method.step(x, y, ctx, first.draws)
    if not torch.equal(ctx.rng.get_state(), state):
        return "a step that is given its draws should draw nothing; whatever is random belongs into draw"
    if not all(torch.equal(a.x, b.x) and torch.equal(a.y, b.y) for a, b in zip(first.mixed, again.mixed, strict=True)):
        return "the same draws should give the same mix, and give another; whatever is random belongs into draw"
    return None


def gradients(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    *_, (_, _, out) = two_steps(method, ctx)
    if not out.losses["student"].requires_grad:
        return "no gradient reaches the student: its loss was computed without a graph (no_grad, detach, item?)"
    out.losses["student"].backward()
    for name, weights in ctx.student.named_parameters():
        if weights.grad is None and "heads.mix" not in name:
            return f"no gradient reaches the student's {name}"
        if weights.grad is not None and not torch.isfinite(weights.grad).all():
            return f"the gradient of the student's {name} is not finite"
    if any(p.grad is not None for p in ctx.teacher.parameters()):
        return "a gradient reaches the teacher, which nothing trains"
    return None


def leaves_alone(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    x, y = batch()
    given, classes = x.clone(), y.clone()
    weights = [p.clone() for p in ctx.student.parameters()]
    teacher = copy.deepcopy(ctx.teacher.state_dict())
    method.step(x, y, ctx)
    if not torch.equal(x, given) or not torch.equal(y, classes):
        return "the batch that was given is changed; clone it, or make a new tensor"
    moved = any(not torch.equal(a, b) for a, b in zip(weights, ctx.student.parameters(), strict=True))
    if moved or any(not torch.equal(value, teacher[name]) for name, value in ctx.teacher.state_dict().items()):
        return "student or teacher is changed; the trainer's optimiser does that, after the step"
    if not ctx.student.training:
        return "the student is left in eval mode"
    if any(value is ctx.student or value is ctx.teacher for value in vars(method).values()):
        return "student or teacher is kept in the method; take them from ctx in every step"
    return None


def resumes(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    outs = [out for *_, out in two_steps(method, ctx)]
    saved = io.BytesIO()
    torch.save(method.state_dict(), saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    if state.keys() != outs[-1].state.keys():
        return f"state_dict has {sorted(state)} and the step gave {sorted(outs[-1].state)}: the names should be equal"
    other, _ = start(kind)
    for name, module in other.trainable_modules().items():
        module.load_state_dict(method.trainable_modules()[name].state_dict())
    other.load_state_dict(state)
    draws, twin = method.draw(4, ctx), copy.deepcopy(ctx)
    first, second = (m.step(*batch(seed=5), c, draws).mixed for m, c in ((method, ctx), (other, twin)))
    if not all(torch.equal(a.x, b.x) and torch.equal(a.y, b.y) for a, b in zip(first, second, strict=True)):
        kept = "what it carries from step to step belongs into StepOutput.state and state_dict"
        return f"a run that was cut off and resumed would mix otherwise; {kept}"
    return None
