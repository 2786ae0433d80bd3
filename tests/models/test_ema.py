"""The teacher: warm-up, update against a loop; the released schedule is in test_golden.py."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.tiny import tiny_batch, tiny_classifier

from adautomix.config import EmaConfig, OptimConfig
from adautomix.methods.context import Context
from adautomix.models.ema import make_teacher, momentum, update
from adautomix.training.optim import lr_at


def test_learning_rate_warms_up_linearly_and_ends_at_its_end():
    config = OptimConfig(lr=1.0, final_lr=0.1, warmup_epochs=2.0)
    rates = [lr_at(config, step, 10, 10) for step in range(100)]
    np.testing.assert_allclose(rates[:20], np.arange(1, 21) / 20)
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert 0.1 < rates[-1] < 0.11
    assert lr_at(OptimConfig(lr=0.3, schedule="constant"), 77, 10, 10) == 0.3


def test_warm_up_lets_short_runs_follow_the_student():
    assert momentum(EmaConfig(), 0, 100) == pytest.approx(0.1)
    assert momentum(EmaConfig(), 90, 100) == pytest.approx(91 / 100)
    assert momentum(EmaConfig(warmup=False), 90, 100) > 0.999


def test_update_averages_weights_and_buffers_and_copies_counters(student):
    teacher = make_teacher(student, EmaConfig())
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    student(tiny_batch()[0])
    update(teacher, student, 0.25, buffers=True)
    for name, value in teacher.state_dict().items():
        new = student.state_dict()[name]
        averaged = name in dict(student.named_parameters()) or "running" in name
        expected = 0.75 * before[name] + 0.25 * new if averaged else new
        torch.testing.assert_close(value, expected)


def test_a_constant_buffer_of_infinities_stays_what_it_is(student):
    student.register_buffer("attention_mask", torch.tensor([0.0, -torch.inf]))
    teacher = make_teacher(student, EmaConfig())
    update(teacher, student, 1 - 0.9, buffers=True)
    assert torch.equal(teacher.attention_mask, student.attention_mask)


def test_update_without_buffers_leaves_the_teachers_statistics(student):
    teacher = make_teacher(student, EmaConfig(teacher_bn="batch"))
    before = {k: v.clone() for k, v in teacher.named_buffers()}
    student(tiny_batch()[0])
    update(teacher, student, 0.5, buffers=False)
    assert all(torch.equal(v, before[k]) for k, v in teacher.named_buffers())


def test_teacher_is_frozen_and_shares_no_memory(student):
    teacher = make_teacher(student, EmaConfig())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.training
    assert make_teacher(student, EmaConfig(teacher_bn="batch")).training
    pointers = {p.data_ptr() for p in student.parameters()}
    assert not pointers & {p.data_ptr() for p in teacher.parameters()}


def test_after_step_moves_the_teacher_and_counts():
    student = tiny_classifier()
    ctx = Context.start(student, steps=4, seed=0)
    with torch.no_grad():
        student.heads["one"].bias.fill_(1.0)
    ctx.after_step()
    assert ctx.step == 1
    torch.testing.assert_close(ctx.teacher.heads["one"].bias, torch.full((5,), 0.9))  # m = 1/10 at the first step
