"""What a person sees of a training: a bar on a terminal, lines elsewhere, and a callback that gets the history."""

import io
import math
import re
import sys
from unittest.mock import MagicMock

import pandas as pd
import pytest
from helpers.training import tiny_config
from helpers.your_code import SNIPPETS

from adautomix.training import train
from adautomix.training.watch import Watch
from adautomix.utils.task import VARIABLE

CONFIG = tiny_config()
ROW = {"epoch": 3, "student_top1": 48.52, "teacher_top1": 48.1, "images_per_s": 351.7}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Return a terminal on which bars appear at once."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("adautomix.training.watch.DELAY", 0.0)
    return stream


def shown(stream):
    """Return the bar's states, oldest first."""
    return [text.strip() for text in re.split(r"[\r\n]", stream.getvalue()) if "epochs" in text]


def test_the_bar_shows_epochs_speed_time_left_and_both_accuracies(monkeypatch):
    stream, lines = terminal(monkeypatch), []
    with Watch(10, lines.append) as watch:
        watch.begin("mixup-s0", 2)
        watch.step(2.5, 300.2)
        watch.bar.refresh()
        watch.log("a line")
        watch.epoch(None, ROW)
        watch.step(3.1, 352.0)
        watch.bar.refresh()
    first, last = next(s for s in shown(stream) if "300" in s), shown(stream)[-1]
    assert re.match(r"mixup-s0:  25 %\|.*\| 2\.5/10 epochs, 00:00, 00:\d\d left, 300 images/s", first)
    assert re.match(
        r"mixup-s0:  31 %\|.*\| 3\.1/10 epochs.* left, 352 images/s, student 48\.5 %, teacher 48\.1 %", last
    )
    assert lines == ["a line"]


def test_of_a_run_that_goes_on_the_time_left_is_reckoned_from_its_own_speed(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("adautomix.training.watch.time.time", lambda: clock[0])
    stream = terminal(monkeypatch)
    with Watch(150, print) as watch:
        watch.bar._time = lambda: clock[0]
        clock[0] += 5.0
        watch.begin("mixup-s0", 100)
        for step in range(1, 21):
            clock[0] += 1.0
            watch.step(100 + step / 2, 300.0)
    assert len(shown(stream)) > 10
    assert "110.0/150 epochs, 00:20, 01:20 left" in shown(stream)[-1]


def test_an_epoch_that_is_not_evaluated_leaves_the_last_accuracies(monkeypatch):
    stream = terminal(monkeypatch)
    with Watch(10, print) as watch:
        watch.epoch(None, ROW)
        watch.epoch(None, ROW | {"epoch": 4, "student_top1": math.nan, "teacher_top1": math.nan})
        watch.bar.refresh()
    assert shown(stream)[-1].endswith("student 48.5 %, teacher 48.1 %")


def test_nobody_watches_a_log(tiny, tmp_path, capsys):
    train(CONFIG, tmp_path)
    out, err = capsys.readouterr()
    assert err == ""
    assert len([line for line in out.splitlines() if line.startswith("epoch ")]) == CONFIG.epochs


def test_the_callback_gets_every_row_once_it_is_on_the_disk(tiny, tmp_path):
    rows, on_disk = [], []

    def on_epoch(run, row):
        rows.append(row)
        on_disk.append(len(run.history))
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tmp_path, log=lambda line: None, on_epoch=on_epoch)
    run = train(CONFIG, tmp_path, log=lambda line: None, on_epoch=on_epoch)
    assert on_disk == list(range(1, CONFIG.epochs + 1))
    pd.testing.assert_frame_equal(pd.DataFrame(rows), run.history)
    train(CONFIG, tmp_path, log=lambda line: None, on_epoch=on_epoch)
    assert len(rows) == CONFIG.epochs  # it was done


def test_epochs_that_other_processes_train_are_told_once(tiny, tmp_path):
    run, rows = train(CONFIG, tmp_path, log=lambda line: None), []
    with Watch(CONFIG.epochs, print, lambda run, row: rows.append(row["epoch"])) as watch:
        watch.begin(run.id, 1)
        watch.catch_up(run)
        watch.catch_up(run)
    assert rows == list(range(2, CONFIG.epochs + 1))


@pytest.mark.parametrize(
    ("title", "module"), [("TensorBoard", "torch.utils.tensorboard"), ("Weights & Biases", "wandb")]
)
def test_the_pages_callbacks_run(tiny, tmp_path, monkeypatch, title, module):
    """Executed as they stand, with a stand-in for the library, which is no dependency."""
    library = MagicMock()
    monkeypatch.setitem(sys.modules, module, library)
    (snippet,) = SNIPPETS[title]
    exec(snippet, {"config": CONFIG, "runs": tmp_path, "folder": tmp_path / "events"})
    calls = [str(call) for call in library.mock_calls if re.search(r"\.(log|add_scalar)$", call[0])]
    assert len([call for call in calls if "student_top1" in call]) == CONFIG.epochs
    assert all("mixup-" in call for call in calls)
