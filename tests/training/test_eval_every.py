"""Epochs without an accuracy: does looking less often change nothing but the history, and can everybody read that?"""

import matplotlib.pyplot as plt
import pytest
import torch
from helpers.training import tiny_config, weights

from adautomix.config import OptimConfig, TrainConfig
from adautomix.figures import learning_curves, run_curves
from adautomix.results import histories, scores
from adautomix.training.loop import train
from adautomix.training.telling import epoch_line
from adautomix.utils.errors import UserError

MEASURED = [f"{role}_{name}" for role in ("student", "teacher") for name in ("top1", "loss")]


@pytest.fixture
def runs(tiny, tmp_path):
    """Return two runs that differ in eval_every alone: 1 and 2."""
    return [train(tiny_config(epochs=13, eval_every=k), tmp_path / str(k), log=str) for k in (1, 2)]


def test_one_trains_alike_and_the_second_half_is_measured(runs):
    often, seldom = runs
    assert often.id == seldom.id
    assert list(seldom.history["epoch"][seldom.history[MEASURED].isna().any(axis=1)]) == [1, 3, 5]
    same = [name for name in often.history if name not in ("images_per_s", "seconds")]
    measured = [1, 3, *range(5, 13)]
    assert often.history.loc[measured, same].equals(seldom.history.loc[measured, same])
    assert all(torch.equal(a, b) for a, b in zip(weights(often).values(), weights(seldom).values(), strict=True))
    assert often.metrics("accuracy", "teacher")["value"] == seldom.metrics("accuracy", "teacher")["value"]


def test_rules_and_curves_take_the_epochs_that_were_measured(runs):
    often, seldom = (scores([run]).set_index(["role", "rule"])["top1"] for run in runs)
    assert often.drop("best test", level="rule").equals(seldom.drop("best test", level="rule"))
    assert (seldom <= often).drop("validation", level="rule").all()
    curves = histories([runs[1]])
    assert set(curves.loc[curves["role"] == "teacher", "epoch"]) == {2, 4, *range(6, 14)}
    for figure in (run_curves(runs[1].history), learning_curves(curves)):
        drawn = [line.get_ydata() for line in figure.axes[-1].get_lines() if len(line.get_ydata())]
        assert len(drawn[0]) == 10
        plt.close(figure)


@pytest.mark.usefixtures("tiny")
def test_the_epoch_line_says_no_accuracy_where_there_is_none(tmp_path):
    lines = []
    train(tiny_config(epochs=12, eval_every=5), tmp_path, log=lines.append)
    assert ["student" in line for line in lines[1:]] == [False, False, False, False, True, False] + 6 * [True]


def test_the_epoch_line_tells_accuracies_on_held_out_images_if_there_are_any():
    row = {"epoch": 1, "lr": 0.1, "images_per_s": 10.0, "loss_ce": 2.0, "student_top1": 50.0, "teacher_top1": 51.0}
    assert "student 50.00 %  teacher 51.00 %  " in epoch_line(row, 2)
    held_out = {"student_val_top1": 48.0, "teacher_val_top1": 49.0}
    assert "student 50.00 % (validation 48.00 %)  teacher 51.00 % (validation 49.00 %)  " in epoch_line(
        row | held_out, 2
    )


def test_of_a_long_run_the_last_ten_epochs_are_measured():
    config = tiny_config(epochs=60, eval_every=25)
    assert [e for e in range(1, 61) if config.evaluates(e)] == [25, 50, *range(51, 61)]


@pytest.mark.usefixtures("tiny")
def test_weights_ruined_in_an_epoch_that_is_not_evaluated_are_not_saved(tmp_path):
    config = tiny_config(epochs=12, eval_every=12, batch_size=40, optim={"student": OptimConfig(lr=1e30)})
    with pytest.raises(FloatingPointError, match=r"the student's weights are not finite after epoch 1; no checkpoint"):
        train(config, tmp_path, log=str)


def test_it_must_be_one_or_more():
    with pytest.raises(UserError, match="eval_every must be 1 or more, got 0"):
        TrainConfig(eval_every=0)


@pytest.mark.usefixtures("tiny")
def test_evaluation_in_bfloat16_is_another_run_and_its_accuracy_says_so(tmp_path):
    exact, rough = (train(tiny_config(epochs=2, eval_precision=p), tmp_path, log=str) for p in ("float32", "bfloat16"))
    assert exact.id != rough.id
    assert all(torch.equal(a, b) for a, b in zip(weights(exact).values(), weights(rough).values(), strict=True))
    assert (exact.history["student_loss"] != rough.history["student_loss"]).all()
    assert rough.history["student_loss"].tolist() == pytest.approx(exact.history["student_loss"].tolist(), rel=0.02)
    stored = [run.metrics("accuracy", "student")["settings"]["precision"] for run in (exact, rough)]
    assert stored == ["float32", "bfloat16"]
