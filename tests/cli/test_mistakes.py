"""The command line told of a mistake, or stopped: one short message, a code, and how to go on."""

import shlex
import sys

import pytest
from helpers import ROOT
from helpers.commands import call

from adautomix.__main__ import main as started
from adautomix.utils.errors import RankError, UserError

GOLDEN = str(ROOT / "tests" / "golden" / "run")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "--method", "mixpu"], "unknown method 'mixpu'; did you mean 'mixup'"),
        (["train", "--data", "digts"], "unknown data set 'digts'; did you mean 'digits'"),
        (["train", "--data", "folder", "--root", "nowhere"], "there is no directory nowhere"),
        (["train", "--generator", "lr=0.1"], "--generator is for methods that train one, such as adautomix"),
        (["train", "--method", "automix", "--generator", "rl=0.1"], "unknown OptimConfig setting 'rl'"),
        (["train", "--method", "automix", "--generator", "lr=0"], "lr must be positive, got 0"),
        (["train", "--device", "xpu"], "device 'xpu' cannot be used here"),
        (["train", "--device", "meta"], "device 'meta' cannot be used here"),
        (["train", "--option", "alpha=0.2", "--option", "alpha=0.4"], "--option alpha is given twice; give it once"),
        (
            ["train", "--generator", "lr=1", "--method", "automix", "--generator", "lr=2"],
            "--generator lr is given twice",
        ),
        (["train", "--option", "alpha=1:30"], "alpha of mixup must be like its default 1.0, got '1:30'"),
        (["train", "--lr", "1e300"], "lr must be a finite number of 1e+30 at most, got 1e+300"),
        (["train", "--option", "alpha"], "expected name=value, got 'alpha'"),
        (["train", "--option", "aplha=1"], "did you mean 'alpha'"),
        (["train", "--epochs", "0"], "epochs must be 1 or more, got 0"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--epcohs", "3"], "--epochs"),
        (["train", "--precision", "float16"], "float16"),
        (["train", "--n-mix", "2"], "--n-mix"),
        (["train", "--method", "adautomix", "--n-mix", "2"], "n_mix is an option of adautomix: give --option n_mix=3"),
        (["train", "--method=mixup", "--alpha=0.5"], "alpha is an option of mixup: give --option alpha="),
        (["predict", "nowhere", "x.png"], "there is no file or folder x.png"),
        (["predict", "tests", "README.md"], "tests is not a run's folder, it has no config.json"),
        (["train", "--recipe", "cifar100_resnet18/mixp"], "unknown method of a recipe 'mixp'; did you mean 'mixup'"),
        (["train", "--recipe", "cifar100_resnet18/mixup", "--budget", "2"], "budget must be above 0 and at most 1"),
        (["train", "--recipe", "cifar100_resnet18/mixup", "--budget", "all"], "--budget"),
        (["train", "--budget", "0.1"], "--budget and --fair go with --recipe"),
        (["train", "--recipe", "cifar100_swin_t/mixup", "--epochs", "100"], "has 200 epochs, got --epochs 100"),
        (["train", "--lr", "0.5", "--optim.student.lr", "0.01"], "--lr is short for --optim.student.lr"),
        (["train", "--devices", "0"], "devices must be 1 or more"),
        (["train", "--devices", "3", "--device", "cpu"], "a batch of 100 images cannot be shared equally by 3 devices"),
        (["train", "--devices", "2", "--device", "cpu", "--sync-bn"], "sync_bn is torch's SyncBatchNorm"),
        (["evaluate", "--recipe", "foo"], "--recipe"),
        (["run", "quick", "--name", "../elsewhere"], "--name is a folder in outputs"),
        (["recipes", "imagnet"], "no recipe's name contains 'imagnet'"),
        (["evaluate", "nowhere"], "there is no folder nowhere"),
        (["run", "quikc"], "unknown plan 'quikc'; did you mean 'quick'"),
        (["run", "quick", "--set", "epcohs=3"], "no notebook of this plan has a parameter 'epcohs'"),
        (["run", "quick", "--only", "trian"], "unknown step 'trian'; did you mean 'train'"),
        (["run", "quick", "--workers", "0"], "workers must be 1 or more"),
        (["status", "nothing"], "unknown plan 'nothing'"),
        (["book", "qiuck"], "unknown plan 'qiuck'; did you mean 'quick'"),
        (["book", "quick", "--name", "never"], "nothing was run under the name 'never'"),
        (["rnu"], "rnu"),
        ([], "subcommand"),
    ],
)
def test_a_mistake_is_one_short_message_and_code_2(capsys, args, message):
    assert call(*args) == 2
    out = capsys.readouterr()
    shown = " ".join(out.err.split()) + " ".join(out.out.split())
    assert message in shown
    assert "Traceback" not in shown
    assert len(out.err.splitlines()) < 30


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        ([GOLDEN, "--evaluator", "acuracy"], "did you mean"),
        ([GOLDEN, "--evaluator", "pgd"], "none of these runs has results of pgd"),
        ([GOLDEN, "--value", "per_class"], "is no number"),
    ],
)
def test_a_table_that_cannot_be_had_is_told(asked, message, capsys):
    assert call("table", *asked) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [(("--share", "7"), "--share must lie between 0 and 1, got 7.0"), (("--out", "a.xyz"), "--out must end in .png")],
)
def test_demo_refuses_what_it_cannot_draw(args, message, capsys):
    assert call("demo", *args) == 2
    assert message in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_a_message_and_code_1(tmp_path, capsys):
    flags = shlex.split("--data digits --per-class 5 --width 4 --epochs 1 --batch-size 5 --lr 1e30")
    assert call("train", *flags, "--runs", str(tmp_path)) == 1
    assert "mixup: loss not finite at step" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("adautomix.training.loop.train", interrupt)
    assert call("train") == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_an_interrupt_while_libraries_are_imported_is_a_message_too(monkeypatch, capsys):
    class Interrupts:
        def find_spec(self, name, path, target=None):
            if name == "adautomix.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "adautomix.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        started()
    assert caught.value.code == 130
    assert "interrupted before anything began" in capsys.readouterr().err


def test_a_killed_loader_process_is_a_message_and_code_1(monkeypatch, capsys):
    def lose(*args, **kwargs):
        raise RuntimeError("DataLoader worker (pid 5) is killed by signal: Killed. ")  # as torch has it

    monkeypatch.setattr("adautomix.training.loop.train", lose)
    assert call("train") == 1
    assert "the same command goes on: DataLoader worker (pid 5) is killed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "rank", "together", "shown"),
    [
        (UserError("no such method"), "0", False, "adautomix: no such method\n"),
        (UserError("no such method"), "1", False, ""),
        (UserError("a.jpg is damaged"), "1", True, "adautomix: rank 1: a.jpg is damaged\n"),
        (FloatingPointError("not finite on rank 1"), "0", True, "adautomix: not finite on rank 1\n"),
        (FloatingPointError("not finite on rank 1"), "1", True, ""),
        (RankError("rank 1: the connection broke"), "1", True, "adautomix: rank 1: the connection broke\n"),
    ],
)
def test_of_torchruns_processes_one_says_what_all_know(monkeypatch, capsys, error, rank, together, shown):
    def fail(*args, **how):
        raise error

    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: together)
    monkeypatch.setattr("adautomix.training.loop.train", fail)
    assert call("train") in (1, 2)
    assert capsys.readouterr().err == shown


def test_only_what_goes_on_is_said_to_go_on(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("adautomix.cli.show", interrupt)
    assert call("demo") == 130
    assert capsys.readouterr().err == "adautomix: interrupted\n"
