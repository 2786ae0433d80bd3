"""The authors' logs as data: is everything there, and found by what a reader would call it?"""

import pytest

from adautomix.paper import COLUMN_NAMES, epochs_of, first_iterations, log, log_of_cell, logs
from adautomix.utils.errors import UserError


def test_fifty_runs_and_all_their_epochs_are_there():
    runs = logs()
    assert len(runs) == runs["log"].nunique() == 50
    assert sum(len(epochs_of(name)) for name in runs["log"]) == runs["epochs"].sum() == 11_400
    assert set(runs["column"]) <= set(COLUMN_NAMES)
    assert runs["file"].str.endswith(".json").all()


def test_a_log_is_every_epoch_under_the_names_of_our_histories():
    curve = log("cifar100", "resnet18", "adautomix", 800)
    assert list(curve["epoch"]) == list(range(1, 801))
    assert curve["teacher_top1"].tail(10).median() == 82.32  # as published
    assert curve["lr"].iloc[-1] == 0.05
    plain = log("cifar100", "resnet18", "cutmix")
    assert plain["teacher_top1"].isna().all()
    assert plain["student_top1"].notna().all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("cifar100", "resnet18", "adautomix"), "more than one log .*; there are logs of 200, 800 epochs"),
        (("cifar100", "resnet18", "mixup", 800), "no log of cifar100, resnet18, mixup of 800 epochs"),
        (("cifar100", "resnet18", "vanila"), "unknown method"),
        (("cifar10", "resnet18", "mixup"), "did you mean 'cifar100'"),
        (("cars", "resnet50", "mixup"), "unknown backbone"),
    ],
)
def test_what_was_not_logged_is_refused_with_what_was(asked, message):
    with pytest.raises(UserError, match=message):
        log(*asked)


def test_windows_of_the_first_two_epochs():
    windows = first_iterations("cifar100_resnet18_adautomix_800e")
    assert set(windows["epoch"]) == {1, 2}
    first = windows.iloc[0]
    assert (first["iter"], round(first["loss"], 3)) == (50, 11.179)
    with pytest.raises(UserError, match="unknown log 'x'"):
        first_iterations("x")


def test_a_cell_has_its_longest_log_or_none():
    assert log_of_cell("cifar100_resnet18", "adautomix")["epochs"] == 800
    assert log_of_cell("cifar100_resnet18", "vanilla") is None
