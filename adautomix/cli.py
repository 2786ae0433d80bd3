"""The command `adautomix`: train, evaluate, recipes, run, status and book. Flags come from the config dataclasses.

A mistake of the user gives one short message and exit code 2; only our own bugs show a traceback.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import tyro

from adautomix.config import TrainConfig
from adautomix.data import DATASETS
from adautomix.errors import UserError
from adautomix.evaluate import EVALUATORS
from adautomix.methods import METHODS
from adautomix.plain_yaml import parse

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130

NEXT = """open it in a browser: it needs neither a server nor the network. Then:
  read on and change things    make lab, and there 00_index
  use your own images          11_your_own_images, or adautomix train --data folder --root my_images --method adautomix
  a cell of the paper's table  adautomix recipes, then adautomix train --recipe NAME on a GPU
  a whole plan                 adautomix run cifar10, then make book PLAN=cifar10"""


@dataclass(frozen=True)
class Train:
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    lr: float | None = None
    """Peak learning rate, short for --optim.student.lr."""
    option: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An option of the method, as name=value; may be given several times (--option alpha=0.4)."""
    recipe: str | None = None
    """Start from a cell of the paper's tables, such as cifar100_resnet18/adautomix; other flags then change it."""
    budget: float = 1.0
    """Share of the recipe's epochs, in (0, 1]."""
    fair: bool = False
    """With a recipe: the same schedule and teacher for every method."""
    runs: str = "outputs/runs"
    """Folder of all runs."""


@dataclass(frozen=True)
class Evaluate:
    runs: tyro.conf.Positional[str] = "outputs/runs"
    """Folder of one run, or any folder above runs."""
    evaluators: tuple[str, ...] = ("accuracy",)
    """What to evaluate."""
    root: str | None = None
    """Where the data set lies now, if it moved."""
    device: str = "auto"
    """auto (GPU if there is one), cpu, cuda, cuda:1, mps."""
    force: bool = False
    """Evaluate again what is already there."""
    sample: int | None = None
    """Number of test images for the evaluators of many passes, drawn once for all (default: all; 1,000 for pgd)."""
    corrupted: str | None = None
    """Folder of published CIFAR-C files (default: data/CIFAR-10-C or data/CIFAR-100-C if there, else made anew)."""


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
    only: tuple[str, ...] = ()
    """Only these steps, and whatever they still need."""
    force: bool = False
    """Run notebooks again even where they are DONE; trained runs are kept."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(_guarded(list(sys.argv[1:] if argv is None else argv)))


def _guarded(argv: list[str]) -> int:
    try:
        return tyro.extras.subcommand_cli_from_dict(
            {
                "train": _command(
                    Train,
                    _train,
                    f"Methods: {', '.join(METHODS)}. Data: {', '.join(DATASETS)}.",
                    default=_train_defaults(argv),
                ),
                "evaluate": _command(Evaluate, _evaluate, f"Evaluators: {', '.join(EVALUATORS)}."),
                "recipes": _command(Recipes, _recipes),
                "run": _command(RunPlan, _run_plan),
                "status": _command(PlanChoice, _status),
                "book": _command(PlanChoice, _book),
            },
            prog="adautomix",
            description="Train, evaluate and reproduce AdAutoMix and the mixup family.",
            args=argv,
        )
    except UserError as error:
        print(f"adautomix: {error}", file=sys.stderr)
        return MISTAKE
    except BrokenPipeError:  # whoever reads has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a folder that cannot be written, a full disk
        print(f"adautomix: {error}", file=sys.stderr)
        return MISTAKE
    except FloatingPointError as error:
        print(f"adautomix: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("adautomix: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return INTERRUPTED


def _command(
    arguments: type, action: Callable[[Any], int], more: str = "", default: Any = None
) -> Callable[[Any], int]:
    """Return a subcommand: tyro parses `arguments`, then it acts; its help is the action's docstring and `more`."""

    def command(args: Any) -> int:
        return action(args)

    command.__doc__ = f"{action.__doc__} {more}".strip()
    if default is not None:
        command.__defaults__ = (default,)
    command.__annotations__ = {"args": Annotated[arguments, tyro.conf.arg(name="")], "return": int}
    return command


def _train_defaults(argv: Sequence[str]) -> Train:
    """Return what `train` starts from: the recipe named on the command line, or the defaults."""
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    flags.add_argument("--recipe")
    flags.add_argument("--budget", type=float, default=1.0)
    flags.add_argument("--fair", action="store_true")
    try:
        given, _ = flags.parse_known_args(argv)
    except argparse.ArgumentError:  # tyro will say what is wrong with it
        return Train()
    if given.recipe is None:
        return Train()
    from adautomix.recipes import RECIPES

    return Train(config=RECIPES[given.recipe].config(budget=given.budget, fair=given.fair))


def _train(args: Any) -> int:
    """Train one network; started again, a run goes on where it stopped."""
    from adautomix.train import train

    if args.recipe is None and (args.budget != 1.0 or args.fair):
        raise UserError("--budget and --fair go with --recipe; without one, give --epochs")
    config = replace(args.config, options=args.config.options | dict(map(_setting, args.option)))
    if args.lr is not None:
        student = replace(config.optim["student"], lr=args.lr)
        config = replace(config, optim=config.optim | {"student": student})
    run = train(config, args.runs)
    last = run.history.iloc[-1]
    print(f"student {last.student_top1:.2f} %, teacher {last.teacher_top1:.2f} % top-1; run: {run.path}")
    if args.recipe is not None:
        from adautomix.recipes import outcome

        print(outcome(args.recipe, run.config, run.info["dataset"]))
    return 0


def _evaluate(args: Any) -> int:
    """Evaluate trained runs, student and teacher; results go into the runs."""
    from adautomix.evaluate.runs import evaluate_run
    from adautomix.run import find_runs

    runs = find_runs(args.runs)
    if not runs:
        raise UserError(f"there are no finished runs in {args.runs}")
    options = {name: getattr(args, name) for name in ("device", "root", "force", "sample", "corrupted")}
    evaluated = [evaluate_run(run, args.evaluators, **options) for run in runs]
    return 0 if all(evaluated) else FAILED


def _recipes(args: Any) -> int:
    """List the recipes: a cell of the paper's Table 1 or 2 each, with its epochs and the published top-1."""
    from adautomix.recipes import RECIPES

    shown = [RECIPES[name] for name in RECIPES if not args.names or any(part in name for part in args.names)]
    if not shown:
        raise UserError(
            f"no recipe's name contains {' or '.join(map(repr, args.names))}; see them all: adautomix recipes"
        )
    width = max(len(recipe.name) for recipe in shown)
    for recipe in shown:
        paper = "no published number" if recipe.paper is None else f"paper {recipe.paper:.2f} %"
        print(f"{recipe.name:<{width}}  Table {recipe.table}  {recipe.epochs:>3} epochs  {paper}")
    return 0


def _run_plan(args: Any) -> int:
    """Run a plan of notebooks in parallel; what is done already is kept."""
    from adautomix.runner.orchestrate import run_plan
    from adautomix.runner.report import outcome_text

    if args.workers is not None and args.workers < 1:
        raise UserError(f"workers must be 1 or more, got {args.workers}")
    plan = _plan(args, again=args.name is not None)
    outcomes = run_plan(plan, workers=args.workers, scheduler=args.scheduler, only=args.only, force=args.force)
    print("\n" + outcome_text(plan, outcomes.values()))
    return FAILED if any(o.state in ("failed", "skipped") for o in outcomes.values()) else 0


def _status(args: Any) -> int:
    """Show the state of every notebook of a plan, as it was last run under that name."""
    from adautomix.runner.report import status_text

    print(status_text(_plan_that_ran(args)))
    return 0


def _book(args: Any) -> int:
    """Build the site of what a plan executed: web pages that need neither a server nor the network."""
    from adautomix.book import build

    site = build(_plan_that_ran(args))
    print(f"\nsite ({'built now' if site.built else 'nothing changed since it was built'}): {site.front}")
    if site.warnings is not None:
        print(f"Sphinx had something to say about it: {site.warnings}")
    print(NEXT)
    return 0


def _plan_that_ran(args: Any) -> Any:
    plan = _plan(args, again=True)
    if args.name is not None and not plan.outputs.exists():
        raise UserError(f"nothing was run under the name {args.name!r}: there is no {plan.outputs}")
    return plan


def _plan(args: Any, *, again: bool) -> Any:
    """Return the plan; if `again` and none is given, with the `--set` of the last run into its outputs."""
    from adautomix.runner.remember import recall
    from adautomix.runner.tasks import load_plan

    plan = load_plan(args.plan, name=args.name)
    last = recall(plan)
    settings = last if again and last and not args.set else dict(map(_setting, args.set))
    return load_plan(args.plan, settings=settings, name=args.name) if settings else plan


def _setting(text: str) -> tuple[str, Any]:
    """Return name and value of "name=value"; the value is read as YAML, so 3 is a number and [1, 2] a list."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"expected name=value, got {text!r}")
    return name, parse(value)


if __name__ == "__main__":
    main()
