"""The subcommand `grade`: points for a method that a student wrote, by the contract and by a short training."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from adautomix.cli.arguments import FAILED, Grade
from adautomix.config import OptimConfig, TrainConfig
from adautomix.utils.errors import UserError
from adautomix.utils.locks import hold

if TYPE_CHECKING:
    from adautomix.methods.base import MixMethod

CLAUSE, TRAINING = 5, 20
"""Points of every clause of the contract, and of the accuracy on one data set."""
SPREAD = 10.0
"""An accuracy so far below the better baseline's (points of top-1) is worth nothing; as high a one, everything."""
BASELINES = ("vanilla", "mixup")
OWN = "graded"
"""What the student's method is called in its Run."""
SETTINGS = {
    "digits": {"epochs": 5, "batch_size": 25},
    "cifar10": {"epochs": 150, "batch_size": 50, "per_class": 100, "eval_every": 25},
}
"""Those of the plans quick and small_data."""


def grade(args: Grade) -> int:
    """Grade a method file: by the contract of every method, then by a short training beside no mixing and MixUp."""
    from adautomix.lessons import NOT_TRIED, method_in, verdicts_on

    kind, config = method_in(args.file), config_of(args)
    print(f"{Path(args.file).name}: {kind.__name__}\n\n{'The contract':<44}points")
    verdicts = verdicts_on(kind)
    for verdict in verdicts:
        tried = verdict.said != NOT_TRIED
        print(f"  {verdict.clause:<42}{CLAUSE * verdict.right} of {CLAUSE}{'' if tried else ', not tried'}", flush=True)
        if tried and not verdict.right:
            print(f"      {verdict.said}")
    points, kept = CLAUSE * sum(verdict.right for verdict in verdicts), all(verdict.right for verdict in verdicts)
    print(f"\n{config.data}, {config.epochs} epochs, seed {config.seed}: top-1 of the student on test images")
    if kept:
        points += trained(kind, config, args.runs)
    else:
        print(f"  not trained, for up to {TRAINING} points: first mend what the contract says")
    print(f"\n{points} of {CLAUSE * len(verdicts) + TRAINING} points")
    (other,) = (name for name in SETTINGS if name != config.data)
    print(f"{TRAINING} more on {other}: adautomix grade {args.file} --data {other}")
    return 0 if kept else FAILED


def config_of(args: Grade) -> TrainConfig:
    """Return the settings that the student's method and the baselines share."""
    settings = SETTINGS[args.data] | ({} if args.epochs is None else {"epochs": args.epochs})
    warmup = settings["epochs"] / (10 if args.data == "digits" else 20)
    optim = {"student": OptimConfig(lr=0.1, weight_decay=5e-4, warmup_epochs=warmup, nesterov=True)}
    more = {"root": args.root, "seed": args.seed, "device": args.device, "channels_last": True, "optim": optim}
    return TrainConfig(data=args.data, method="vanilla", width=16, **settings, **more)


def trained(kind: type["MixMethod"], config: TrainConfig, runs: str) -> int:
    """Train baselines, which are kept, and the student's method, which is not; print accuracies, return points."""
    from adautomix.lessons.telling import raised
    from adautomix.methods import METHODS

    Path(runs).mkdir(parents=True, exist_ok=True)
    with hold(Path(runs) / ".lock"):  # of a whole class that begins at once, one trains them
        reached = {name: top1(replace(config, method=name), runs, name) for name in BASELINES}
    with TemporaryDirectory() as passing, METHODS.lent(OWN, kind):
        try:
            own = top1(replace(config, method=OWN), passing, kind.__name__)
        except UserError:
            raise
        except Exception as error:  # the student's code: other sizes than the contract tried
            print(f"  {kind.__name__:<18}not trained to the end: {raised(error)}")
            return 0
    below = max(reached.values()) - own
    points = round(TRAINING * min(1.0, max(0.0, 1 - below / SPREAD)))
    print(f"  {max(below, 0):.1f} below the better of {' and '.join(BASELINES):<21}{points} of {TRAINING}")
    return points


def top1(config: TrainConfig, runs: str, shown: str) -> float:
    """Train, print the student's last accuracy and return it, in percent."""
    from adautomix.training.loop import train

    last = train(config, runs, log=lambda line: None).last_epoch
    print(f"  {shown:<18}{last.student_top1:.1f} %", flush=True)
    return float(last.student_top1)
