"""The command `adautomix`, a subcommand a thing to do. Flags come from dataclasses.

A mistake of the user gives one short message and exit code 2; only our own bugs show a traceback.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from adautomix.cli import plans, runs
from adautomix.cli.arguments import (
    FAILED,
    Demo,
    Evaluate,
    Grade,
    Handout,
    Import,
    Notebooks,
    PlanChoice,
    Predict,
    Recipes,
    RunPlan,
    Table,
    Train,
)
from adautomix.cli.demo import demo as show
from adautomix.cli.grade import grade as give_points
from adautomix.cli.handout import write_handout
from adautomix.cli.notebooks import copy_notebooks
from adautomix.cli.table import show_table
from adautomix.data import DATASETS
from adautomix.evaluate import ALL_EVALUATORS
from adautomix.methods import METHODS
from adautomix.utils.errors import LostScheduler, RankError, UserError

MISTAKE, INTERRUPTED = 2, 130
GO_ON = (["train"], ["evaluate"], ["run"], ["book"], ["slides"])
"""Commands that go on where they were interrupted."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name that is not UTF-8 must not end a training
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_guarded(list(sys.argv[1:] if argv is None else argv)))


def _guarded(argv: list[str]) -> int:
    try:
        return tyro.extras.subcommand_cli_from_dict(
            {
                "demo": _command(Demo, show),
                "notebooks": _command(Notebooks, copy_notebooks),
                "handout": _command(Handout, write_handout),
                "grade": _command(Grade, give_points),
                "train": _command(
                    Train,
                    runs.train_one,
                    f"Methods: {', '.join(METHODS)}. Data: {', '.join(DATASETS)}.",
                    default=runs.train_defaults(argv),
                ),
                "evaluate": _command(Evaluate, runs.evaluate, f"Evaluators: {', '.join(ALL_EVALUATORS)}."),
                "predict": _command(Predict, runs.predict),
                "table": _command(Table, show_table),
                "import": _command(Import, runs.import_one, "Nothing but tensors is read from the file."),
                "recipes": _command(Recipes, runs.recipes),
                "run": _command(RunPlan, plans.run),
                "status": _command(PlanChoice, plans.status),
                "book": _command(PlanChoice, plans.book),
                "slides": _command(PlanChoice, plans.slides),
            },
            prog="adautomix",
            description="Train, evaluate and reproduce AdAutoMix and the mixup family.",
            args=argv,
        )
    except BrokenPipeError:  # whoever reads has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError) as error:  # a folder that cannot be written, a full disk
        _say(error)
        return MISTAKE
    except (RankError, LostScheduler, FloatingPointError) as error:
        _say(error)
        return FAILED
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):  # torch says it wherever the training is just then
            _say(error, "a process that reads images was killed (is memory full?), the same command goes on: ")
            return FAILED
        if type(error).__name__ != "OutOfMemoryError":  # torch's own, which is not imported for every command
            raise
        less = "give a smaller --batch-size" if argv[:1] == ["train"] else "free it, or take another --device"
        _say(error, f"the GPU's memory is full, {less}: ")
        return FAILED
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where this one stopped" * (argv[:1] in GO_ON)
        print(f"adautomix: interrupted{goes_on}", file=sys.stderr)
        return INTERRUPTED


def _say(error: Exception, before: str = "") -> None:
    """Print an error as one message; of what all of torchrun's processes know, the first one does."""
    rank, distributed = os.environ.get("RANK"), sys.modules.get("torch.distributed")
    together = rank is not None and distributed is not None and distributed.is_initialized()
    if together and not isinstance(error, (RankError, FloatingPointError)):
        before = f"rank {rank}: {before}"  # it happened to this one; the others lose it, and end
    elif rank not in (None, "0") and "WORLD_SIZE" in os.environ and not isinstance(error, RankError):
        return
    print(f"adautomix: {before}{error}", file=sys.stderr, flush=True)


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
