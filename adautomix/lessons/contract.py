"""The contract of a mixing method, as checks that say "right" or what is off: for methods that a reader wrote.

Whatever keeps it can be trained, replayed and resumed by the trainer. The package's own methods keep it too (a test).
"""

import copy
import inspect
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from adautomix.lessons.telling import NOTHING, raised
from adautomix.methods.base import Context, Draws, MixMethod, StepOutput
from adautomix.methods.ops.mixing import Mixed
from adautomix.models.classifier import Classifier

CLASSES = 5
NOT_TRIED = "not tried"
CLOSE = 1e-3
"""Largest difference of a label or a pixel that counts as equal."""


@dataclass(frozen=True)
class Verdict:
    """What one clause of the contract says of a method: `said` is "right", or what is off."""

    clause: str
    said: str

    @property
    def right(self) -> bool:
        """Whether the clause is kept."""
        return self.said == "right"


def verdicts_on(kind: type[MixMethod]) -> list[Verdict]:
    """Return what every clause says of a method's class; of one that cannot make a step the others are not tried."""
    verdicts: list[Verdict] = []
    for clause, check in CLAUSES.items():
        first = any(not verdict.right for verdict in verdicts[:2])  # all others need a method that makes a step
        try:
            said = NOT_TRIED if first else check(kind) or "right"
        except Exception as error:
            said = raised(error)
        verdicts.append(Verdict(clause, said))
    return verdicts


def check_method(kind: type[MixMethod]) -> str:
    """Return "right" if a method's class keeps the whole contract, or the first clause it does not, and why."""
    broken = [verdict for verdict in verdicts_on(kind) if not verdict.right]
    return f"{broken[0].clause}: {broken[0].said}" if broken else "right"


def start(
    kind: type[MixMethod], seed: int = 0, channels: int = 3, size: tuple[int, int] = (8, 8)
) -> tuple[MixMethod, Context]:
    """Return a method with its defaults, and the context of a run of a tiny network."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(channels, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
    net = nn.Sequential(*layers, nn.Conv2d(6, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())
    look = {"mean": [0.5] * channels, "std": [0.25] * channels}
    student = Classifier(net, CLASSES, tap="2", heads=("one", "mix"), image_size=size, **look).train()
    return kind.build(student), Context.start(student, steps=10, seed=seed)


def batch(count: int = 4, size: tuple[int, int] = (8, 8), channels: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return images and class ids."""
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, *size, generator=rng), torch.arange(count) % CLASSES


def two_steps(method: MixMethod, ctx: Context, count: int = 4, size: tuple[int, int] = (8, 8)):
    """Yield two consecutive steps as (x, y, output): the second may build on the first."""
    for seed in (1, 2):
        x, y = batch(count, size, seed=seed)
        out = method.step(x, y, ctx)
        yield x, y, out
        method.load_state_dict(out.state)


def _built(kind: type[MixMethod]) -> str | None:
    if not (isinstance(kind, type) and issubclass(kind, MixMethod)):
        return f"a method is a class of its own, class Mine(MixMethod), got {kind!r}"
    named = [p for p in inspect.signature(kind).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if kind.init_args.__func__ is MixMethod.init_args.__func__ and named:
        return f"options come after a star, each with a default: def __init__(self, *, {named[0].name}=...)"
    start(kind)
    return None


def _steps(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    x, y = batch()
    draws = method.draw(len(x), ctx)
    if draws is None:
        return NOTHING
    if not isinstance(draws, Draws):
        return f"draw should return a Draws, got {type(draws).__name__}"
    mixed = method.mix(x, y, ctx, draws) if kind.step is MixMethod.step else None
    if kind.step is MixMethod.step and not isinstance(mixed, Mixed):
        return f"mix should return a Mixed (mixed_from_mask and mixed_from_lam make one), got {type(mixed).__name__}"
    out = method.step(x, y, ctx)
    if not isinstance(out, StepOutput) or "student" not in out.losses or not out.mixed:
        return 'step should return a StepOutput with the loss "student" and what was mixed'
    if stray := set(out.losses) - {"student", *method.trainable_modules()}:
        return f"there is nothing to train with the loss {sorted(stray)[0]!r}: trainable_modules does not name it"
    for name, loss in out.losses.items():
        if loss.shape != () or not torch.isfinite(loss):
            return f"the loss {name!r} should be one finite number, got {loss.detach().flatten()[:3].tolist()}"
    return None


def _shapes(kind: type[MixMethod]) -> str | None:
    for count, size in ((4, (8, 8)), (5, (8, 12))):
        method, ctx = start(kind, size=size)
        for x, _, out in two_steps(method, ctx, count, size):
            for mixed in out.mixed:
                slots = mixed.index.shape[0]
                wanted = {"x": (x.shape, x.dtype), "y": ((count, CLASSES), x.dtype), "lam": ((count, slots), x.dtype)}
                wanted |= {"index": ((slots, count), torch.long)}
                wanted |= {} if mixed.mask is None else {"mask": ((count, slots, *size), x.dtype)}
                for name, (shape, dtype) in wanted.items():
                    got = getattr(mixed, name)
                    if tuple(got.shape) != tuple(shape) or got.dtype != dtype:
                        given = f"of {count} images of {size[0]} x {size[1]} px {name} should be {_kind(shape, dtype)}"
                        return f"{given}, got {_kind(got.shape, got.dtype)}"
                inside = [row for n, row in enumerate(mixed.index) if n not in mixed.outside]
                if any(row.min() < 0 or row.max() >= count for row in inside):
                    return f"index names images that the batch of {count} does not have"
    return None


def _numbers(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    for _, _, out in two_steps(method, ctx, 8):
        for mixed in out.mixed:
            parts = {"images": mixed.x, "labels": mixed.y, "lam": mixed.lam}
            parts |= {} if mixed.mask is None else {"masks": mixed.mask}
            for name, part in parts.items():
                if not torch.isfinite(part).all():
                    return f"the {name} hold numbers that are not finite"
                if part.min() < -1e-5 or part.max() > 1 + 1e-5:
                    return f"the {name} should lie in [0,1], they go from {part.min():.2f} to {part.max():.2f}"
            for name, part in list(parts.items())[1:]:
                if (gap := (part.sum(dim=1) - 1).abs().max()) > CLOSE:
                    what = "classes" if name == "labels" else "slots"
                    return f"the {name} should sum to 1 over the {what}, they are off by up to {gap:.2g}"
    return None


def _labels(kind: type[MixMethod]) -> str | None:
    method, ctx = start(kind)
    for _, y, out in two_steps(method, ctx, 8):
        for mixed in out.mixed:
            told = [mixed.slot_targets(n, ctx.targets(y)) for n in range(len(mixed.index))]
            gap = ((mixed.lam.T[..., None] * torch.stack(told)).sum(dim=0) - mixed.y).abs().max()
            if gap > CLOSE:
                return f"y should be the sum of the slots' labels, each times its lam; it is off by up to {gap:.2f}"
    return None


def _areas(kind: type[MixMethod]) -> str | None:
    for seed in range(4):
        method, ctx = start(kind, seed)
        if method.trainable_modules():
            return None  # masks that are learned: the label is what they are asked for
        for _, _, out in two_steps(method, ctx, 8):
            for mixed in (m for m in out.mixed if m.mask is not None):
                area = mixed.mask.mean(dim=(2, 3))
                b, n = divmod(int((area - mixed.lam).abs().argmax()), len(mixed.index))
                if abs(float(area[b, n] - mixed.lam[b, n])) > CLOSE:
                    shown = f"slot {n} has {mixed.lam[b, n]:.2f} of a label, and its mask shows {area[b, n]:.2f} of it"
                    return f"{shown}; mixed_from_mask without lam takes the label from the mask"
    return None


def _contents(kind: type[MixMethod]) -> str | None:
    if kind.step is not MixMethod.step:
        return None  # it may train on other things than what mix returns
    colours = torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(3))
    x, y = colours.expand(8, 3, 8, 8).contiguous(), batch(8)[1]
    for seed in range(4):
        method, ctx = start(kind, seed)
        mixed = method.mix(x.clone(), y, ctx, method.draw(8, ctx))
        mask = mixed.lam[:, :, None, None].expand(-1, -1, 8, 8) if mixed.mask is None else mixed.mask
        wanted = sum(mask[:, n, None] * mixed.slot(n, x) for n in range(len(mixed.index)))
        gap = (mixed.x - wanted).abs().amax(dim=1)
        if gap.max() > 0.02:
            b, row, column = np.unravel_index(int(gap.argmax()), gap.shape)
            share = ", ".join(f"{part:.2f}" for part in mask[b, :, row, column].tolist())
            place = f"image {b}, row {row}, column {column}"
            return f"{place}: the slots' shares are {share}, and the pixel shows other ones; are slots exchanged?"
    return None


def _seeds(kind: type[MixMethod]) -> str | None:
    made = []
    for seed in (0, 0, 1):
        method, ctx = start(kind, seed)
        before = torch.get_rng_state()
        outs = [out for *_, out in two_steps(method, ctx, 8)]
        asked = [
            out.draws.lam for out in outs if out.draws.lam is not None
        ]  # small images show it by whole pixels only
        made.append([mixed.x for out in outs for mixed in out.mixed] + asked)
        if not torch.equal(before, torch.get_rng_state()):
            return "it draws from torch's global generator; whatever is random comes from ctx.rng (generator=ctx.rng)"
    first, same, other = made
    if not all(torch.equal(a, b) for a, b in zip(first, same, strict=True)):
        return "the same seed should give the same batch, and gives another; whatever is random comes from ctx.rng"
    if all(torch.equal(a, b) for a, b in zip(first, other, strict=True)):
        return "two seeds give the same batch: nothing is mixed, or nothing is drawn from ctx.rng"
    return None


def _replays(kind: type[MixMethod]) -> str | None:
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


def _gradients(kind: type[MixMethod]) -> str | None:
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


def _leaves_alone(kind: type[MixMethod]) -> str | None:
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


def _resumes(kind: type[MixMethod]) -> str | None:
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


def _kind(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"


CLAUSES: dict[str, Callable[[type[MixMethod]], str | None]] = {
    "it is built with its defaults": _built,
    "a step runs": _steps,
    "shapes and types are as promised": _shapes,
    "images, labels and masks lie in [0,1]": _numbers,
    "labels follow lam": _labels,
    "lam follows the mask": _areas,
    "images follow the mask": _contents,
    "a seed fixes what is drawn": _seeds,
    "a step can be replayed": _replays,
    "the gradient reaches the student": _gradients,
    "what is given is left alone": _leaves_alone,
    "a run that was cut off resumes": _resumes,
}
"""Every clause, and the check that returns what is off, or None."""
