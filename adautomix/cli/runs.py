"""The subcommands about runs: train, evaluate, predict, import, recipes. Each imports what it needs when called."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adautomix.cli.arguments import FAILED, Evaluate, Import, Predict, Recipes, Train, settings
from adautomix.config import OptimConfig, TrainConfig, from_dict
from adautomix.utils.errors import UserError

if TYPE_CHECKING:
    from adautomix.runs.run import Run


def train_defaults(argv: Sequence[str]) -> Train:
    """Return what `train` starts from: the recipe named on the command line, or the defaults.

    Raises: UserError for an unknown recipe, a method's option given as a flag, and two flags for one learning rate.
    """
    if list(argv[:1]) != ["train"]:
        return Train()
    given_flags = {flag.partition("=")[0].replace("_", "-") for flag in argv}
    require_known(argv)
    if {"--lr", "--optim.student.lr"} <= given_flags:
        raise UserError("--lr is short for --optim.student.lr: give one of them")
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


def require_known(argv: Sequence[str]) -> None:
    """Raise UserError for a flag that is no flag but an option of the method, saying how options are given."""
    from adautomix.methods import METHODS

    ours = {*TrainConfig.__dataclass_fields__, *Train.__dataclass_fields__, "help"}
    flags = [flag[2:].partition("=")[0].replace("-", "_") for flag in argv if flag.startswith("--")]
    strange = [name for name in flags if name.partition(".")[0] not in ours and name.removeprefix("no_") not in ours]
    if not strange:
        return
    words = [word for flag in argv for word in flag.split("=")]
    named = words[words.index("--method") + 1 :][:1] if "--method" in words else [Train().config.method]
    options = METHODS[named[0]].resolve({}) if named and named[0] in METHODS else {}
    if found := [name for name in strange if name in options]:
        raise UserError(f"{found[0]} is an option of {named[0]}: give --option {found[0]}={options[found[0]]}")


def train_one(args: Train) -> int:
    """Train one network; started again, a run goes on where it stopped."""
    from adautomix.training.loop import train

    if args.recipe is None and (args.budget != 1.0 or args.fair):
        raise UserError("--budget and --fair go with --recipe; without one, give --epochs")
    if args.recipe is not None:
        require_recipe_epochs(args)
    config = replace(args.config, options=args.config.options | settings("--option", args.option))
    if args.lr is not None:
        student = replace(config.optim["student"], lr=args.lr)
        config = replace(config, optim=config.optim | {"student": student})
    if args.generator:
        config = with_generator(config, settings("--generator", args.generator))
    run = train(config, args.runs, devices=args.devices, max_restarts=args.max_restarts)
    if os.environ.get("RANK", "0") != "0":  # the first of torchrun's processes says it
        return 0
    last = run.last_epoch
    print(f"student {last.student_top1:.2f} %, teacher {last.teacher_top1:.2f} % top-1; run: {run.path}")
    if args.recipe is not None:
        from adautomix.recipes import outcome

        print(outcome(args.recipe, run.config, run.info["dataset"]))
    return 0


def with_generator(config: TrainConfig, settings: Mapping[str, Any]) -> TrainConfig:
    """Return a config whose generator has these settings of its own, and else the student's.

    Raises: UserError for a setting that no optimiser has, a wrong value, and a method without a generator.
    """
    from adautomix.methods import METHODS
    from adautomix.methods.learned import GeneratorMethod

    if not issubclass(METHODS[config.method], GeneratorMethod):
        raise UserError(f"--generator is for methods that train one, such as adautomix; {config.method} does not")
    optim = config.optim_for("generator")
    no_sgd = {} if settings.get("name", optim.name) == "sgd" else {"nesterov": False}  # a student's nesterov is SGD's
    own = from_dict(OptimConfig, asdict(optim) | no_sgd | settings)
    return replace(config, optim=config.optim | {"generator": own})


def require_recipe_epochs(args: Train) -> None:
    """Raise UserError if --epochs goes around the recipe's budget, which shortens warm-up and teacher along."""
    from adautomix.recipes import RECIPES

    planned = RECIPES[args.recipe].config(budget=args.budget, fair=args.fair).epochs
    if args.config.epochs != planned:
        raise UserError(
            f"{args.recipe} has {planned} epochs, got --epochs {args.config.epochs}; for a share of them give --budget "
            f"{args.config.epochs / RECIPES[args.recipe].epochs:.2g}, which shortens warm-up and teacher with them"
        )


def evaluate(args: Evaluate) -> int:
    """Evaluate trained runs, student and teacher; results go into the runs."""
    from adautomix.evaluate.runs import require_request
    from adautomix.utils.seeding import choose_device

    # What is wrong for every run is one message, not one a run.
    names = tuple(name for part in args.evaluators for name in part.split(","))  # `a,b` is as plain as `a b`
    args = replace(args, evaluators=names)
    require_request(args.evaluators, args.sample)
    choose_device(args.device)
    evaluated = [_evaluated(run, args) for run in finished(args.runs)]
    return 0 if all(evaluated) else FAILED


def finished(folders: Sequence[str]) -> "list[Run]":
    """Return the finished runs below folders, and tell how many others there are.

    Raises: UserError for a folder that is not there, or if none has any.
    """
    from adautomix.runs.run import find_runs

    runs = {}
    for folder in folders:
        if not os.path.isdir(folder):
            raise UserError(f"there is no folder {folder}")
        runs |= {run.path.resolve(): run for run in find_runs(folder, unfinished=True)}
    if not any(run.done for run in runs.values()):
        raise UserError(f"there are no finished runs in {', '.join(folders)}")
    if left := sum(not run.done for run in runs.values()):
        print(f"left out: {left} that {'is' if left == 1 else 'are'} not trained to the end", file=sys.stderr)
    return [run for run in runs.values() if run.done]


def predict(args: Predict) -> int:
    """Say of new image files what a trained run takes them for."""
    from adautomix.evaluate.new_images import classify
    from adautomix.utils.files import write_atomic

    left_out: list[UserError] = []
    options = {"role": args.role, "top": args.top, "device": args.device}
    told = classify(args.run, args.files, **options, unreadable=left_out.append)
    if args.csv is not None and len(told):
        write_atomic(Path(args.csv), lambda path: told.to_csv(path, index=False))
        print(f"{told['file'].nunique()} images: {args.csv}")
    elif args.csv is None:
        for file, rows in told.groupby("file", sort=False):
            print(f"{file}: " + ", ".join(f"{row[2]} {100 * row[3]:.1f} %" for row in rows.itertuples(index=False)))
    if not left_out:
        return 0
    print("\n".join(["left out:", *map(str, left_out)]), file=sys.stderr)
    return FAILED


def _evaluated(run: "Run", args: Evaluate) -> bool:
    """Evaluate one run; False, after saying why, if something could not be evaluated."""
    from adautomix.evaluate.runs import evaluate_run

    options = {name: getattr(args, name) for name in ("device", "root", "force", "sample", "corrupted")}
    try:
        return evaluate_run(run, args.evaluators, **options)
    except UserError as error:
        print(error, file=sys.stderr)
        return False


def import_one(args: Import) -> int:
    """Make a run of a checkpoint that the authors' or OpenMixup's program wrote, to be evaluated like any other."""
    from adautomix.imported import PUBLISHED, fetch, import_checkpoint
    from adautomix.recipes import RECIPES

    file, recipe = args.file, args.recipe
    if file in PUBLISHED:
        file, recipe = fetch(file), recipe or file
    elif file in RECIPES:
        raise UserError(f"no checkpoint of {file} was published, only of {', '.join(PUBLISHED)}")
    run = import_checkpoint(file, args.runs, recipe=recipe, data=args.data, root=args.root)
    print(f"evaluate it: adautomix evaluate {run.path}")
    return 0


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
