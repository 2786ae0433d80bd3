"""AutoMix and AdAutoMix: which passes a step makes, in which order, and what they do to BatchNorm."""

from collections import Counter

import pytest
import torch
from helpers.learned import EVERY, begin, middling
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier

from adautomix.config import EmaConfig
from adautomix.methods import make_method
from adautomix.methods.context import Context
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.models.ema import RunningStatistics, make_teacher
from adautomix.utils.errors import UserError

BATCH = EmaConfig(teacher_bn="batch")


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


@pytest.mark.parametrize(("name", "kinds"), [("automix", "clean mixed"), ("adautomix", "clean plain mixed")])
def test_the_students_passes_come_in_the_released_order(name, kinds):
    """BatchNorm's running statistics weigh the last batch most, so the order is part of the method."""
    method, ctx = begin(name)
    x, y = tiny_batch(6)
    draws = middling(method, ctx)
    seen = []
    ctx.student.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    out = method.step(x, y, ctx, draws)
    plain = sum(draws.lam[:, n, None, None, None] * x[draws.index[n]] for n in range(len(draws.index)))
    expected = {"clean": x, "plain": plain, "mixed": out.mixed[1].x}
    assert len(seen) == len(kinds.split())
    for images, kind in zip(seen, kinds.split(), strict=True):
        torch.testing.assert_close(images, expected[kind])


@EVERY
def test_with_batch_statistics_a_step_can_be_taken_and_gives_the_same_gradients(name, options, monkeypatch):
    """The statistics move between forward and backward: neither may disturb the other."""

    def gradients():
        method, ctx = begin(name, options, ema=BATCH)
        out = method.step(*tiny_batch(6), ctx, middling(method, ctx))
        sum(out.losses.values()).backward()
        return [p.grad for module in (ctx.student, method.generator) for p in module.parameters()]

    ours = gradients()
    monkeypatch.setattr(RunningStatistics, "repeat", lambda self, times: None)
    for repeated, plain in zip(ours, gradients(), strict=True):
        assert (repeated is None) == (plain is None)
        assert repeated is None or torch.equal(repeated, plain)


def test_layers_whose_statistics_stand_still_are_left_alone():
    norm = torch.nn.BatchNorm2d(3, momentum=0.0)
    statistics = RunningStatistics(norm)
    norm(torch.rand(4, 3, 2, 2))
    statistics.record()
    statistics.repeat(3)
    assert norm.running_mean.tolist() == [0, 0, 0]


def test_plain_averages_cannot_be_repeated_and_are_refused():
    norm = torch.nn.BatchNorm2d(3, momentum=None)
    assert make_teacher(norm, EmaConfig()).training is False
    with pytest.raises(UserError, match="needs BatchNorm with a momentum, got momentum=None; use teacher_bn='ema'"):
        make_teacher(norm, BATCH)


def test_where_only_the_tap_is_wanted_the_stages_behind_it_are_not_run():
    net, _ = build_backbone("resnet18", image_size=16, width=4)
    student = Classifier(net, 5, image_size=16)
    x, calls = torch.rand(2, 3, 16, 16), []
    student.net.layer4.register_forward_hook(lambda *args: calls.append("layer4"))
    student.eval()
    whole = student(x, tap=True).tap
    assert calls == ["layer4"]
    out = student(x, heads=(), tap=True)
    assert calls == ["layer4"]
    assert out.logits == {}
    assert torch.equal(out.tap, whole)
    student.train()
    student(x, heads=(), tap=True)
    assert calls == ["layer4", "layer4"]  # its BatchNorm must see the batch


@EVERY
def test_mix_gives_what_the_student_is_shown(name, options):
    method, ctx = begin(name, options)
    x, y = tiny_batch(6)
    draws = middling(method, ctx)
    alone = method.mix(x, y, ctx, draws)
    shown = method.step(x, y, ctx, draws).mixed[1]
    torch.testing.assert_close(alone.x, shown.x)
    torch.testing.assert_close(alone.y, shown.y)
    assert not alone.x.requires_grad


def test_the_generator_is_made_where_the_student_is():
    student = tiny_classifier().to("meta")
    from adautomix import AdAutoMix

    assert AdAutoMix.build(student).generator.query.weight.device.type == "meta"


def test_targets_are_smoothed_once_for_every_term():
    method, ctx = begin("adautomix")
    ctx.label_smoothing = 0.1
    out = method.step(*tiny_batch(6), ctx)
    for mixed in out.mixed:
        assert mixed.y.min().item() == pytest.approx(0.1 / 5, abs=1e-6)


@pytest.mark.parametrize("name", ["automix", "adautomix"])
def test_a_look_at_a_mix_leaves_all_networks_as_they_were(name):
    """Also the teacher whose BatchNorm is moved by passes of its own, whose accuracy is the one that is published."""
    student = tiny_classifier()
    method = make_method(name, student, {"norm": "batch"} if name == "adautomix" else {})
    ctx = Context.start(student, steps=10, ema=EmaConfig(teacher_bn="batch"))
    networks = {"student": student, "teacher": ctx.teacher, "generator": method.generator}
    before = {k: {n: t.clone() for n, t in m.state_dict().items()} for k, m in networks.items()}
    x, y = tiny_batch()
    method.mix(x, y, ctx, method.draw(len(x), ctx))
    for k, module in networks.items():
        assert [n for n, t in module.state_dict().items() if not torch.equal(t, before[k][n])] == [], k


@pytest.mark.parametrize("name", ["vanilla", "mixup", "manifoldmix", "recursivemix"])
def test_a_teacher_of_its_own_statistics_needs_a_method_that_runs_it(name):
    student = tiny_classifier()
    method, ctx = make_method(name, student), Context.start(student, steps=10, ema=EmaConfig(teacher_bn="batch"))
    with pytest.raises(UserError, match=f"{name} does not, use 'ema'"):
        method.step(*tiny_batch(), ctx)


def test_processes_of_one_run_agree_on_lam_and_differ_in_partners():
    student = tiny_classifier()
    method = make_method("adautomix", student, {"random_n": True, "switch_off": 0.5})
    contexts = [Context.start(student, steps=10, seed=3, image_seed=rank) for rank in range(2)]
    one, other = ([method.draw(16, ctx) for _ in range(8)] for ctx in contexts)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.lam, b.lam)
        assert a.trains_generator == b.trains_generator
    assert any(not torch.equal(a.index, b.index) for a, b in zip(one, other, strict=True))
    kept = contexts[0].state_dict()
    following = method.draw(16, contexts[0])
    restored = Context.start(student, steps=10, seed=3, image_seed=0)
    restored.load_state_dict(kept)
    assert torch.equal(method.draw(16, restored).index, following.index)


def test_a_look_at_a_mix_draws_nothing_that_the_training_would_have_drawn():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Dropout(0.5), torch.nn.Conv2d(4, 4, 1))
    student, (x, y) = Classifier(net, CLASSES, heads=("one", "mix"), tap="1", image_size=8), tiny_batch()
    ctx = Context.start(student, steps=10, ema=BATCH)
    method = make_method("automix", student)
    before = torch.get_rng_state()
    method.mix(x, y, ctx, method.draw(len(x), ctx))
    assert torch.equal(torch.get_rng_state(), before)
