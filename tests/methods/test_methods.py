"""The contract of every method in METHODS. A new method is tested here by being there."""

import copy
import io

import pytest
import torch
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier
from torch import nn

from adautomix.methods import METHODS, make_method, resolve_options
from adautomix.methods.base import draws_near, paired
from adautomix.methods.context import Context
from adautomix.models.classifier import Classifier
from adautomix.utils.errors import UserError


def assert_same_mixed(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
        assert torch.equal(a.index, b.index)


def two_steps(method, ctx, batch=4, size=8):
    """Return two consecutive steps of different batches, each as (x, y, output): the second builds on the first."""
    x, y = tiny_batch(batch, size)
    batches = (x, y), (1 - x.roll(1, dims=3), y.roll(1))
    made = []
    for images, labels in batches:
        made.append((images, labels, method.step(images, labels, ctx)))
        method.load_state_dict(made[-1][2].state)
    return made


@pytest.mark.parametrize(("batch", "size"), [(2, 8), (5, 8), (4, 16)])
def test_every_mixed_batch_has_the_promised_shapes_and_ranges(any_method, start, batch, size):
    method, ctx = start(any_method)
    steps = two_steps(method, ctx, batch, size)
    assert all(out.mixed for *_, out in steps)
    for x, mixed in ((x, mixed) for x, _, out in steps for mixed in out.mixed):
        slots = mixed.lam.shape[1]
        assert mixed.x.shape == x.shape
        assert mixed.y.shape == (batch, CLASSES)
        assert mixed.lam.shape == (batch, slots)
        assert mixed.index.shape == (slots, batch)
        assert mixed.x.min() >= -1e-6
        assert mixed.x.max() <= 1 + 1e-6
        torch.testing.assert_close(mixed.y.sum(dim=1), torch.ones(batch))
        torch.testing.assert_close(mixed.lam.sum(dim=1), torch.ones(batch))
        if mixed.mask is not None:
            assert mixed.mask.shape == (batch, slots, size, size)
            torch.testing.assert_close(mixed.mask.sum(dim=1), torch.ones(batch, size, size))


def test_labels_are_the_lam_weighted_labels_of_the_images_mixed(any_method, start):
    """Also of images that are not of the batch: those of the step before."""
    method, ctx = start(any_method)
    for x, y, out in two_steps(method, ctx, 5):
        for mixed in out.mixed:
            expected = torch.zeros(5, CLASSES)
            for b in range(5):
                for n in range(mixed.lam.shape[1]):
                    if n in mixed.outside:
                        expected[b] += mixed.lam[b, n] * mixed.outside[n].y[mixed.index[n, b]]
                        assert torch.equal(mixed.slot(n, x)[b], mixed.outside[n].x[mixed.index[n, b]])
                    else:
                        expected[b, y[mixed.index[n, b]]] += mixed.lam[b, n]
                        assert torch.equal(mixed.slot(n, x)[b], x[mixed.index[n, b]])
            torch.testing.assert_close(mixed.y, expected)
            told = [mixed.slot_targets(n, ctx.targets(y)) for n in range(mixed.lam.shape[1])]
            torch.testing.assert_close((mixed.lam.T[..., None] * torch.stack(told)).sum(dim=0), expected)


def test_a_method_takes_images_of_any_number_of_channels_and_any_shape(any_method):
    for channels in (1, 4):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(channels, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3, 1, 1))
        colour = {"mean": [0.5] * channels, "std": [0.25] * channels}
        student = Classifier(net, CLASSES, tap="1", heads=("one", "mix"), image_size=(16, 24), **colour)
        method, ctx = make_method(any_method, student), Context.start(student, steps=2)
        for seed in range(2):
            x = torch.rand(4, channels, 16, 24, generator=torch.Generator().manual_seed(seed))
            out = method.step(x, torch.arange(4), ctx)
            method.load_state_dict(out.state)
            assert out.mixed[-1].x.shape == x.shape
            assert torch.isfinite(sum(out.losses.values()))


def test_same_seed_gives_the_same_batch_and_another_seed_another(any_method, start):
    first, second, other = ([out.mixed for *_, out in two_steps(*start(any_method, seed=s), 8)] for s in (0, 0, 1))
    for one, same in zip(first, second, strict=True):
        assert_same_mixed(one, same)
    if any_method != "vanilla":
        assert not torch.equal(first[-1][0].x, other[-1][0].x)


def test_mixing_uses_no_randomness_but_the_contexts(any_method, start):
    method, ctx = start(any_method)
    before = torch.get_rng_state()
    two_steps(method, ctx)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_step_replayed_with_its_draws_is_the_same_step(any_method, start):
    method, ctx = start(any_method)
    two_steps(method, ctx)  # a method may build on what they left
    x, y = tiny_batch()
    student, method_before = copy.deepcopy(ctx.student.state_dict()), ctx.rng.get_state()
    first = method.step(x, y, ctx)
    assert any_method == "vanilla" or not torch.equal(ctx.rng.get_state(), method_before)
    ctx.student.load_state_dict(student)
    state = ctx.rng.get_state()
    again = method.step(x, y, ctx, first.draws)
    assert torch.equal(ctx.rng.get_state(), state)  # nothing was drawn
    assert_same_mixed(first.mixed, again.mixed)
    for name, loss in first.losses.items():
        assert torch.equal(loss, again.losses[name])


def test_a_step_leaves_the_methods_state_alone_until_it_is_told(any_method, start):
    method, ctx = start(any_method)
    (*_, out), _ = two_steps(method, ctx)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert before.keys() == out.state.keys()
    left = method.step(*tiny_batch(), ctx).state
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert not any(value.requires_grad for value in left.values())
    method.load_state_dict(left)
    assert all(torch.equal(value, left[name]) for name, value in method.state_dict().items())


def test_a_state_saved_and_loaded_gives_the_same_next_step(any_method, start):
    method, ctx = start(any_method)
    two_steps(method, ctx)
    saved = io.BytesIO()
    torch.save(method.state_dict(), saved)
    saved.seek(0)
    other, _ = start(any_method)
    for name, module in other.trainable_modules().items():
        module.load_state_dict(method.trainable_modules()[name].state_dict())
    other.load_state_dict(torch.load(saved, weights_only=True))
    draws, twin = method.draw(4, ctx), copy.deepcopy(ctx)  # a step in train mode moves BatchNorm's statistics
    first, second = (m.step(*tiny_batch(), c, draws).mixed for m, c in ((method, ctx), (other, twin)))
    assert_same_mixed(first, second)


def test_losses_are_finite_scalars_for_known_optimisers(any_method, start):
    method, ctx = start(any_method)
    out = method.step(*tiny_batch(), ctx)
    assert set(out.losses) <= {"student", *method.trainable_modules()}
    assert "student" in out.losses
    for loss in out.losses.values():
        assert loss.shape == ()
        assert torch.isfinite(loss)
        assert loss.requires_grad
    for term in out.terms.values():
        assert not term.requires_grad


def test_student_loss_reaches_the_student_and_nothing_else(any_method, start):
    method, ctx = start(any_method)
    *_, (_, _, out) = two_steps(method, ctx)
    out.losses["student"].backward()
    assert all(p.grad is not None for n, p in ctx.student.named_parameters() if "heads.mix" not in n)
    assert all(p.grad is None for p in ctx.teacher.parameters())
    for module in method.trainable_modules().values():
        assert all(p.grad is None for p in module.parameters())


def test_a_step_changes_no_weights_and_leaves_the_teacher_alone(any_method, start):
    method, ctx = start(any_method)
    weights = [p.clone() for p in ctx.student.parameters()]
    teacher = copy.deepcopy(ctx.teacher.state_dict())
    method.step(*tiny_batch(), ctx)
    assert all(torch.equal(a, b) for a, b in zip(weights, ctx.student.parameters(), strict=True))
    assert all(p.grad is None for p in ctx.student.parameters())
    assert ctx.student.training
    for name, value in ctx.teacher.state_dict().items():
        assert torch.equal(value, teacher[name]), name


def test_a_method_keeps_neither_student_nor_teacher(any_method, start):
    method, ctx = start(any_method)
    method.step(*tiny_batch(), ctx)
    kept = list(vars(method).values())
    assert not any(value is ctx.student or value is ctx.teacher for value in kept)


def test_the_classifier_has_the_heads_a_method_names(any_method):
    student = tiny_classifier(heads=METHODS[any_method].heads)
    ctx = Context.start(student, steps=3)
    assert "student" in make_method(any_method, student).step(*tiny_batch(), ctx).losses


def test_unknown_option_is_refused_naming_the_closest():
    with pytest.raises(UserError, match="did you mean 'alpha'"):
        resolve_options("mixup", {"alpah": 1.0})
    with pytest.raises(UserError, match="did you mean 'cutmix'"):
        resolve_options("cutmx", {})


def test_option_of_the_wrong_type_or_range_is_refused():
    with pytest.raises(UserError, match="per_sample of mixup"):
        resolve_options("mixup", {"per_sample": 1})
    with pytest.raises(UserError, match="alpha must be positive"):
        make_method("cutmix", tiny_classifier(), {"alpha": -1.0})
    with pytest.raises(UserError, match=r"0.01 or more\), got 0.001"):  # torch would draw many halves
        make_method("mixup", tiny_classifier(), {"alpha": 0.001})


def test_options_are_completed_and_whole_numbers_become_floats():
    assert resolve_options("mixup", {"alpha": 2}) == {"alpha": 2.0, "per_sample": False}
    assert isinstance(resolve_options("mixup", {"alpha": 2})["alpha"], float)


def test_label_smoothing_goes_into_the_targets(student):
    ctx = Context.start(student, steps=1, label_smoothing=0.1)
    targets = ctx.targets(torch.tensor([2]))
    torch.testing.assert_close(targets, torch.tensor([[0.02, 0.02, 0.92, 0.02, 0.02]]))


def test_soft_cross_entropy_is_the_weighted_sum_of_hard_ones(start):
    method, ctx = start("mixup", per_sample=True)
    x, y = tiny_batch()
    out = method.step(x, y, ctx)
    mixed, logits = out.mixed[0], ctx.student(out.mixed[0].x).logits["one"]
    hard = torch.nn.functional.cross_entropy
    terms = [mixed.lam[:, n] * hard(logits, y[mixed.index[n]], reduction="none") for n in range(2)]
    torch.testing.assert_close(out.losses["student"], sum(terms).mean())


def test_pictures_meet_their_neighbours(any_method, start):
    method, ctx = start(any_method)
    draws = paired(method.draw(4, ctx), 4)
    if draws.index is not None:
        assert draws.index.tolist() == [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1]][: len(draws.index)]


def test_telling_draws_show_both_images(start):
    method, ctx = start("cutmix")
    shown = draws_near(method, 4, ctx)
    assert 0.4 < shown.lam[0, 0] < 0.9


def test_tables_of_names_are_mappings():
    assert METHODS.get("nope", "nothing") == "nothing"
    assert "nope" not in METHODS
    with pytest.raises(UserError, match="unknown method 'nope'"):
        METHODS["nope"]


def test_a_run_of_no_steps_is_refused(student):
    with pytest.raises(UserError, match="steps must be 1 or more"):
        Context.start(student, steps=0)


def test_a_batch_shares_its_draws_and_images_have_partners_of_their_own(any_method, start):
    """As on several devices: the same generator for the whole batch, another for each device's images."""

    def drawn(seed):
        method, ctx = start(any_method)
        ctx.image_rng = torch.Generator().manual_seed(seed)
        return vars(method.draw(12, ctx)), ctx.rng.get_state()

    (one, state), (other, same_state) = drawn(1), drawn(2)
    assert torch.equal(state, same_state)
    for name, value in one.items():
        equal = torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        assert equal != (name.startswith("index") and value is not None), name


@pytest.mark.parametrize(
    "labels",
    [torch.rand(4), torch.eye(5)[:4], torch.ones(4, dtype=torch.bool)],
    ids=["fractions", "one_hot", "bool"],  # a drawn number in a name is another test in every process
)
def test_labels_that_are_no_class_ids_are_refused(start, labels):
    method, ctx = start("mixup")
    with pytest.raises(UserError, match=r"labels must be class ids \[B\]"):
        method.mix(tiny_batch()[0], labels, ctx, method.draw(4, ctx))
