"""The contract of a reader's method: the package's own keep it, and every clause finds the method that breaks it."""

import random
from dataclasses import replace

import torch
from torch import nn

from adautomix.lessons import NOT_TRIED, check_method, verdicts_on
from adautomix.lessons.contract import CLAUSES
from adautomix.lessons.telling import raised
from adautomix.methods import METHODS, Draws, Mixed, StepOutput, draw_index, mixed_from_mask, sample_lam
from adautomix.methods.base import MixMethod
from adautomix.methods.mixup import MixUp
from adautomix.methods.ops.losses import soft_cross_entropy
from adautomix.methods.recursivemix import RecursiveMix


class Split(MixMethod):
    """Left of one image, right of the other; the methods below break one clause of the contract each."""

    def draw(self, batch_size, ctx):
        return Draws(draw_index(batch_size, 2, ctx.rng), sample_lam(batch_size, 2, 1.0, ctx.rng))

    def mask(self, x, lam):
        left = (torch.arange(x.shape[3]) / x.shape[3] < lam[0, 0]).float()
        return torch.stack([left, 1 - left])[None, :, None].expand(len(x), -1, x.shape[2], -1)

    def mix(self, x, y, ctx, draws):
        return mixed_from_mask(x, ctx.targets(y), draws.index, self.mask(x, draws.lam))


class NeedsAlpha(Split):
    def __init__(self, alpha):
        self.alpha = alpha


class Nothing(Split):
    def mix(self, x, y, ctx, draws): ...


class Square(Split):
    def mask(self, x, lam):
        return super().mask(x, lam)[:, :, : x.shape[2], : x.shape[2]]


class ClassIds(Split):
    def mix(self, x, y, ctx, draws):
        return Mixed(x, y.float(), torch.ones(len(x), 1), draws.index[:1])


class Bright(Split):
    def mask(self, x, lam):
        return 2 * super().mask(x, lam)


class FirstLabel(Split):
    def mix(self, x, y, ctx, draws):
        made = super().mix(x, y, ctx, draws)
        return Mixed(made.x, ctx.targets(y), made.lam, made.index, made.mask)


class AskedLam(Split):
    def mask(self, x, lam):
        return super().mask(x, lam.flip(1))

    def mix(self, x, y, ctx, draws):
        return mixed_from_mask(x, ctx.targets(y), draws.index, self.mask(x, draws.lam), draws.lam)


class Exchanged(Split):
    def mix(self, x, y, ctx, draws):
        made = super().mix(x, y, ctx, draws)
        return replace(made, x=super().mix(x, y, ctx, replace(draws, index=draws.index.flip(0))).x)


class GlobalChance(Split):
    def draw(self, batch_size, ctx):
        share = torch.rand(())
        return Draws(draw_index(batch_size, 2, ctx.rng), torch.stack([share, 1 - share]).expand(batch_size, 2))


class PythonsChance(Split):
    def draw(self, batch_size, ctx):
        share = torch.tensor(random.random())
        return Draws(draw_index(batch_size, 2, ctx.rng), torch.stack([share, 1 - share]).expand(batch_size, 2))


class OwnChance(Split):
    def draw(self, batch_size, ctx):
        rng = torch.Generator()
        rng.seed()
        return Draws(draw_index(batch_size, 2, rng), sample_lam(batch_size, 2, 1.0, rng))


class LateChance(Split):
    def mix(self, x, y, ctx, draws):
        return super().mix(x, y, ctx, Draws(draws.index, sample_lam(len(x), 2, 1.0, ctx.rng)))


class NoGraph(Split):
    def step(self, x, y, ctx, draws=None):
        with torch.no_grad():
            return super().step(x, y, ctx, draws)


class InPlace(Split):
    def mix(self, x, y, ctx, draws):
        made = super().mix(x, y, ctx, draws)
        x.copy_(made.x)
        return made


class KeepsTeacher(Split):
    def step(self, x, y, ctx, draws=None):
        self.eyes = ctx.teacher
        return super().step(x, y, ctx, draws)


class Forgets(RecursiveMix):
    def state_dict(self):
        return dict.fromkeys(self.history, torch.zeros(0))


class Untrained(Split):
    def step(self, x, y, ctx, draws=None):
        out = super().step(x, y, ctx, draws)
        return StepOutput(out.losses | {"critic": out.losses["student"]}, out.graph_terms, out.mixed, out.draws)


class Infinite(Split):
    def step(self, x, y, ctx, draws=None):
        draws = self.draw(len(x), ctx) if draws is None else draws
        made = self.mix(x, y, ctx, draws)
        loss = soft_cross_entropy(ctx.student(made.x).logits["one"], made.y) / 0
        return StepOutput({"student": loss}, {"ce": loss}, (made.detach(),), draws)


BREAKS = {
    NeedsAlpha: ("it is built with its defaults", "def __init__(self, *, alpha=...)"),
    nn.Identity: ("it is built with its defaults", "class Mine(MixMethod)"),
    Nothing: ("a step runs", "mix should return a Mixed"),
    Untrained: ("a step runs", "nothing to train with the loss 'critic'"),
    Infinite: ("a step runs", "one finite number"),
    Square: ("shapes and types are as promised", "it raised"),
    ClassIds: ("a step runs", "it raised"),
    Bright: ("images, labels and masks lie in [0,1]", "go from 0.00 to"),
    FirstLabel: ("labels follow lam", "off by up to"),
    AskedLam: ("lam follows the mask", "its mask shows"),
    Exchanged: ("images follow the mask", "are slots exchanged"),
    GlobalChance: ("a seed fixes what is drawn", "torch's global generator"),
    PythonsChance: ("a seed fixes what is drawn", "the same seed should give the same batch"),
    OwnChance: ("a seed fixes what is drawn", "the same seed should give the same batch"),
    LateChance: ("a step can be replayed", "belongs into draw"),
    NoGraph: ("the gradient reaches the student", "no gradient"),
    InPlace: ("what is given is left alone", "the batch that was given is changed"),
    KeepsTeacher: ("what is given is left alone", "kept in the method"),
    Forgets: ("a run that was cut off resumes", ""),
}


def test_the_methods_of_the_package_keep_the_contract(any_method):
    broken = [verdict for verdict in verdicts_on(METHODS[any_method]) if not verdict.right]
    assert [v.clause for v in broken] == (["a seed fixes what is drawn"] if any_method == "vanilla" else [])
    if broken:
        assert "nothing is mixed" in broken[0].said


def test_a_right_method_is_right():
    assert check_method(Split) == "right"


def test_every_clause_finds_the_method_that_breaks_it():
    for kind, (clause, said) in BREAKS.items():
        try:
            found = CLAUSES[clause](kind) or "right"
        except Exception as error:
            found = raised(error)
        assert found != "right", kind.__name__
        assert said in found, (kind.__name__, found)
    assert {clause for clause, _ in BREAKS.values()} == set(CLAUSES)


def test_of_a_method_without_a_step_no_other_clause_is_tried():
    said = [verdict.said for verdict in verdicts_on(Nothing)]
    assert said[2:] == [NOT_TRIED] * (len(CLAUSES) - 2)
    assert check_method(Nothing).startswith("a step runs: mix should return")


def test_an_error_is_told_with_the_line_of_the_readers_file():
    class Crash(MixUp):
        def mix(self, x, y, ctx, draws):
            return x[999]

    assert "IndexError" in check_method(Crash)
    assert "test_contract.py, line" in check_method(Crash)
    assert "return x[999]" in check_method(Crash)
