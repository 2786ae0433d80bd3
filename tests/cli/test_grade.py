"""The subcommand grade: points for a right method and for wrong ones, and what a student is told."""

from types import SimpleNamespace

import pandas as pd
import pytest
from helpers.commands import call

from adautomix import METHODS
from adautomix.lessons import method_in
from adautomix.utils.errors import UserError

RIGHT = """
import torch
from adautomix import MixMethod
from adautomix.methods import Draws, draw_index, mixed_from_mask, sample_lam


class Split(MixMethod):
    def draw(self, batch_size, ctx):
        return Draws(draw_index(batch_size, 2, ctx.rng), sample_lam(batch_size, 2, 1.0, ctx.rng))

    def mix(self, x, y, ctx, draws):
        left = (torch.arange(x.shape[3]) / x.shape[3] < draws.lam[0, 0]).float()
        mask = torch.stack([left, 1 - left])[None, :, None].expand(len(x), -1, x.shape[2], -1)
        return mixed_from_mask(x, ctx.targets(y), draws.index, mask)
"""
WRONG = {
    "label": ("draws.index, mask)", "draws.index, mask, draws.lam.flip(1))", "lam follows the mask", 55),
    "chance": ("1.0, ctx.rng)", "1.0, torch.default_generator)", "torch's global generator", 55),
    "crash": (
        "return mixed_from_mask(x,",
        "return mixed_from_mask(y,",
        "wrong.py, line 14: return mixed",
        5,
    ),
}


def graded(tmp_path, capsys, text, *more, name="mine.py"):
    (tmp_path / name).write_text(text)
    code = call("grade", str(tmp_path / name), "--runs", str(tmp_path / "runs"), "--epochs", "1", *more)
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.slow
def test_a_right_method_is_trained_beside_the_baselines_which_are_kept(tmp_path, capsys):
    code, out, _ = graded(tmp_path, capsys, RIGHT)
    assert code == 0
    assert out.count("5 of 5") == 12
    assert [line.split()[0] for line in out.splitlines() if line.endswith("%")] == ["vanilla", "mixup", "Split"]
    assert int(out.split(" of 80 points")[0].split()[-1]) >= 60
    assert "--data cifar10" in out
    assert len(list((tmp_path / "runs").rglob("DONE"))) == 2
    assert "graded" not in METHODS


def test_what_fails_in_training_alone_is_told_and_the_rest_counts(tmp_path, capsys, monkeypatch):
    def train(config, runs, log):
        if config.method == "graded":
            raise ValueError("5 classes, got 10")
        return SimpleNamespace(last_epoch=pd.Series({"student_top1": 50.0}))

    monkeypatch.setattr("adautomix.training.loop.train", train)
    code, out, _ = graded(tmp_path, capsys, RIGHT)
    assert code == 0
    assert "not trained to the end: it raised ValueError: 5 classes, got 10" in out
    assert "60 of 80 points" in out


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_method_is_told_what_is_off_and_not_trained(tmp_path, capsys, mistake):
    right, wrong, said, points = WRONG[mistake]
    assert right in RIGHT
    code, out, _ = graded(tmp_path, capsys, RIGHT.replace(right, wrong), name="wrong.py")
    assert code == 1
    assert said in out
    assert f"{points} of 80 points" in out
    assert "not trained" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Mine(MixMethod:\n", "mine.py is not Python: "),
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("x = 1\n", "there is no method in mine.py, it has no class"),
        ("class Mine: ...\n", "its classes are Mine"),
        (RIGHT + "\n\nclass Other(MixMethod): ...\n", "several methods, Split, Other; leave one"),
    ],
)
def test_a_file_without_one_method_is_refused_with_a_sentence(tmp_path, capsys, text, said):
    code, _, err = graded(tmp_path, capsys, text)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_of_methods_that_derive_from_one_another_the_last_is_meant(tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT + "\n\nclass Better(Split): ...\n\n\nMETHOD = Better\n")
    assert method_in(tmp_path / "mine.py").__name__ == "Better"
    with pytest.raises(UserError, match="there is none at"):
        method_in(tmp_path / "other.py")


def test_a_table_holds_a_lent_object_for_a_while():
    with METHODS.lent("graded", dict):
        assert METHODS["graded"] is dict
        assert [*METHODS][-1] == "graded"
    assert "graded" not in METHODS
    with pytest.raises(UserError, match="'mixup' already"), METHODS.lent("mixup", dict):
        pass
