"""What every subcommand takes, as dataclasses that tyro turns into flags and help."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from adautomix.config import TrainConfig
from adautomix.utils.errors import UserError
from adautomix.utils.strict_yaml import parse

FAILED = 1
"""Exit code where the work was tried and did not end well; a mistake of the user is 2."""


@dataclass(frozen=True)
class Train:
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    lr: float | None = None
    """Peak learning rate, short for --optim.student.lr."""
    option: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An option of the method, as name=value; may be given several times (--option alpha=0.4)."""
    generator: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting of the optimiser of AutoMix's and AdAutoMix's generators, as name=value (--generator lr=0.01); may be
    given several times (default: all as the student's)."""
    recipe: str | None = None
    """Start from a cell of the paper's tables, such as cifar100_resnet18/adautomix; other flags then change it."""
    budget: float = 1.0
    """Share of the recipe's epochs, in (0, 1]."""
    fair: bool = False
    """With a recipe: the same schedule and teacher for every method."""
    runs: str = "outputs/runs"
    """Folder of all runs."""
    devices: int = 1
    """GPUs of this machine, or processes on its CPU, that share every batch; --batch-size is the whole batch."""
    max_restarts: int = 0
    """With several devices: how often to go on by itself after one of the processes was killed or failed."""


@dataclass(frozen=True)
class Evaluate:
    runs: tyro.conf.Positional[tuple[str, ...]] = ("outputs/runs",)
    """Folders of runs, or any folders above runs."""
    evaluators: tuple[str, ...] = ("accuracy",)
    """What to evaluate; autoattack too, with the extra 'attacks' installed."""
    root: str | None = None
    """Where the data set lies now, if it moved."""
    device: str = "auto"
    """auto (GPU if there is one), cpu, cuda, cuda:1, mps."""
    force: bool = False
    """Evaluate again also what is already there as asked for."""
    sample: int | None = None
    """Test images for evaluators of many passes, drawn once for all (default: all; pgd and autoattack: 1,000)."""
    corrupted: str | None = None
    """Folder of published CIFAR-C files, for CIFAR runs (default: data/CIFAR-10-C or -100-C if there, or made anew)."""


@dataclass(frozen=True)
class Predict:
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of one finished run."""
    files: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="FILES")]
    """Image files, or folders of them."""
    role: Literal["student", "teacher"] | None = None
    """Whose answer (default: the student's, of a published run the teacher's)."""
    top: int = 3
    """Classes an image, the most probable first."""
    csv: str | None = None
    """Write a CSV with columns file, rank, class and probability (0 to 1) instead of printing."""
    device: str = "auto"
    """auto (GPU if there is one), cpu, cuda, cuda:1, mps."""


@dataclass(frozen=True)
class Table:
    runs: tyro.conf.Positional[tuple[str, ...]] = ("outputs/runs",)
    """Folders of runs, or any folders above runs."""
    evaluator: str = "accuracy"
    """Whose results: those that `adautomix evaluate` has stored."""
    value: str | None = None
    """Which of its numbers (default: top1, of calibration ece, of occlusion mean)."""
    format: Literal["text", "csv", "markdown", "latex"] = "text"
    """csv has all digits; the others are rounded to two decimals."""


@dataclass(frozen=True)
class Import:
    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CHECKPOINT")]
    """A .pth of the authors' or of OpenMixup's program, or the recipe of a published one, which is downloaded."""
    recipe: str | None = None
    """The cell of the paper's tables it was trained for, such as imagenet_resnet18/adautomix (default: found out)."""
    data: str | None = None
    """The data set to evaluate it on, where its classes do not tell."""
    root: str | None = None
    """Where that lies."""
    runs: str = "outputs/runs"
    """Folder of all runs."""


@dataclass(frozen=True)
class Demo:
    out: str = "outputs/demo/mixed.png"
    """The figure; PNG, PDF or SVG by its suffix."""
    share: float = 0.6
    """Share of the first image in every mix, about."""
    seed: int = 0
    """Seed of the draws: where boxes and blobs fall."""


@dataclass(frozen=True)
class Notebooks:
    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FOLDER")]
    """A new or empty folder; it becomes a workbook, in which `adautomix run quick` works."""


@dataclass(frozen=True)
class Handout:
    folder: tyro.conf.Positional[str | None] = None
    """Where they go (default: handout, or with --solutions: solutions); files that are there are not touched."""
    solutions: bool = False
    """With solutions in place of the stubs, for teachers."""
    only: tuple[str, ...] = ()
    """Only these, by their numbers: --only 01 02."""


@dataclass(frozen=True)
class Grade:
    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    """A Python file with one class that derives from MixMethod. It is run as you: read what others wrote first."""
    data: Literal["digits", "cifar10"] = "digits"
    """What it is trained on: digits, or CIFAR-10 with 100 images a class."""
    epochs: int | None = None
    """Passes over the training images (default: 8 on digits, 150 on cifar10)."""
    seed: int = 0
    """Seed of all trainings."""
    root: str | None = None
    """Where CIFAR-10 lies (default: data/cifar10, downloaded on first use)."""
    device: str = "auto"
    """auto (GPU if there is one), cpu, cuda, cuda:1, mps."""
    runs: str = "outputs/grade"
    """Folder in which the baselines' runs are kept, so that they are trained once."""


@dataclass(frozen=True)
class Recipes:
    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Only recipes whose name contains one of these (default: all)."""


@dataclass(frozen=True)
class PlanChoice:
    plan: tyro.conf.Positional[str]
    """A plan in notebooks/plans (quick, cifar10, ...), or the path of a YAML file."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Replace a parameter or a grid of the plan, as name=value; repeatable (--set epochs=3 --set seed=[0,1])."""
    name: str | None = None
    """Outputs go to outputs/NAME (default: the plan's name). Give one when you change parameters."""


@dataclass(frozen=True)
class RunPlan(PlanChoice):
    workers: int | None = None
    """Notebooks at a time (default: one a core, at most 4, or one a GPU)."""
    scheduler: str | None = None
    """Address of a running dask scheduler (tcp://host:8786), or slurm; default: this machine."""
    only: tuple[str, ...] | None = None
    """Only these steps, and whatever they still need."""
    gpu_share: int | None = None
    """Notebooks at a time on one GPU of this machine, for runs too small to fill it (default: the plan's)."""
    force: bool = False
    """Run notebooks again even where they are DONE; trained runs are kept."""


def settings(flag: str, texts: Sequence[str], instead: str = "give it once") -> dict[str, Any]:
    """Return values by name of several "name=value".

    Raises: UserError for a name that is given twice, saying what to give instead.
    """
    given = list(map(setting, texts))
    if twice := [name for name, times in Counter(name for name, _ in given).items() if times > 1]:
        raise UserError(f"{flag} {twice[0]} is given twice; {instead.format(twice[0])}")
    return dict(given)


def setting(text: str) -> tuple[str, Any]:
    """Return name and value of "name=value"; the value is read as YAML, so 3 is a number and [1, 2] a list."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"expected name=value, got {text!r}")
    return name, parse(value)
