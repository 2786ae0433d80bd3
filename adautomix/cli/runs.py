"""The subcommands about runs: train, evaluate, recipes. What they need is imported when they are called."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from adautomix.cli.arguments import FAILED, Evaluate, Recipes, Train, setting
from adautomix.errors import UserError


def train_defaults(argv: Sequence[str]) -> Train:
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


def train_one(args: Train) -> int:
    """Train one network; started again, a run goes on where it stopped."""
    from adautomix.train import train

    if args.recipe is None and (args.budget != 1.0 or args.fair):
        raise UserError("--budget and --fair go with --recipe; without one, give --epochs")
    config = replace(args.config, options=args.config.options | dict(map(setting, args.option)))
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


def evaluate(args: Evaluate) -> int:
    """Evaluate trained runs, student and teacher; results go into the runs."""
    from adautomix.evaluate.runs import evaluate_run
    from adautomix.run import find_runs

    runs = find_runs(args.runs)
    if not runs:
        raise UserError(f"there are no finished runs in {args.runs}")
    options = {name: getattr(args, name) for name in ("device", "root", "force", "sample", "corrupted")}
    evaluated = [evaluate_run(run, args.evaluators, **options) for run in runs]
    return 0 if all(evaluated) else FAILED


def recipes(args: Recipes) -> int:
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
