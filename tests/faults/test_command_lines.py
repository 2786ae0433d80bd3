"""Malformed command lines, made from the types of the flags: one message and code 2, and nothing is left behind."""

import random
import types
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from helpers.faults import SEED, call, counted, rng_for, times

from adautomix.cli.arguments import Demo, Evaluate, Import, PlanChoice, Recipes, RunPlan, Train
from adautomix.config import OptimConfig, TrainConfig
from adautomix.runs.run import create, run_for
from adautomix.training.steps import Training

COMMANDS = {
    "train": Train,
    "evaluate": Evaluate,
    "import": Import,
    "demo": Demo,
    "recipes": Recipes,
    "run": RunPlan,
    "status": PlanChoice,
    "book": PlanChoice,
}
NEEDED = {"run": ["quick"], "status": ["quick"], "book": ["quick"], "import": ["theirs.pth"]}
"""Positionals without which a command says that they are missing, which is not what is meant here."""
ANY_NUMBER = {("demo", "--seed")}
"""Whole numbers that may be negative."""
NO_COMMANDS = ("", "tarin", "TRAIN", "42", "--train", "-x", "evaluate train", "; rm")
BAD_PAIRS = ("alpha", "=1", "alpha=[", "alpha={a", "alpha=!!python/object/apply:os.getcwd []", "aplha=1", 'alpha="\\0"')
NO_INTEGERS = ("x", "", "1.5", "1e3", "0x10", "ten", "nan", "1 2", "٣.", "--", "[1]", "None None", "1" * 5000)
NO_NUMBERS = ("x", "", "1,5", "--", "[1]", "half", "1e", "0x1", "1 2")


def flags_of(cls: type, prefix: str = "") -> dict[str, Any]:
    """Return the type hint of every flag, nested configs flattened as tyro does."""
    found = {}
    for field in fields(cls):
        hint = get_type_hints(cls, include_extras=True)[field.name]
        name = f"{prefix}{field.name.replace('_', '-')}"
        if get_origin(hint) is Annotated:
            if "Positional" in repr(hint):
                continue
            hint = get_args(hint)[0]
        if is_dataclass(hint):
            found |= flags_of(hint, "" if field.name == "config" else f"{name}.")
        elif name == "optim":
            found |= flags_of(OptimConfig, "optim.student.")
        elif hint != dict[str, Any]:
            found[f"--{name.removeprefix('--')}"] = hint
    return found


def wrong_values(hint: Any, rng: random.Random, negative: bool) -> list[str]:
    """Return what to write behind a flag so that it does not fit its type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return wrong_values(args[0], rng, negative)
    if origin is Literal:
        return [rng.choice([str(args[0]).upper() + "x", "", "None", "0", "'"])]
    if origin is tuple and args[-1] is not Ellipsis:
        return [rng.choice(NO_NUMBERS) for _ in args] if rng.random() < 0.5 else ["0.1"] * rng.choice([1, 3])
    if hint is int:
        return [rng.choice([*NO_INTEGERS, "-1", "-7"] if negative else NO_INTEGERS)]
    if hint is float:
        return [rng.choice(NO_NUMBERS)]
    if hint is bool:
        return [rng.choice(["maybe", "2", "True False"])]
    return []  # text: any fits, so the value is left out


def misspelt(flag: str, known: set[str], rng: random.Random) -> str:
    """Return a flag with one letter changed, left out or doubled, that is no flag."""
    while True:
        at, letter = rng.randrange(2, len(flag)), rng.choice("abcxyz-._0")
        new = flag[:at] + rng.choice(["", letter, letter + flag[at]]) + flag[at + 1 :]
        if new.replace("_", "-") not in known and len(new) > 3:
            return new


def malformed(rng: random.Random) -> list[str]:
    """Return a command line with one mistake."""
    command = rng.choice([*COMMANDS, "train", "train", "evaluate", "run"])
    flags = flags_of(COMMANDS[command])
    start, flag = [command, *NEEDED.get(command, [])], rng.choice(list(flags) or ["--names"])
    kind = rng.choice(["value", "value", "value", "value", "misspelt", "command", "pair", "cut", "range"])
    if kind == "command":
        return [rng.choice(NO_COMMANDS), *start[1:]]
    if kind == "misspelt" or not flags:
        known = {*flags, *(f"--no-{name[2:]}" for name in flags), "--help"}
        return [*start, misspelt(flag, known, rng), *rng.choice([[], ["1"], ["x", "y"]])]
    if kind == "pair" and command in ("train", "run"):
        return [*start, "--option" if command == "train" else "--set", rng.choice(BAD_PAIRS)]
    if kind == "range" and command == "train":
        name, value = rng.choice(OUT_OF_RANGE)
        return [*start, name, value]
    if kind == "cut":
        flag = rng.choice([name for name, hint in flags.items() if hint is not bool] or [flag])
        return [*start, flag]
    return [*start, flag, *wrong_values(flags[flag], rng, (command, flag) not in ANY_NUMBER)]


OUT_OF_RANGE = [
    ("--epochs", "0"), ("--batch-size", "0"), ("--size", "0"), ("--validation", "1"), ("--seed", str(2**31)),
    ("--drop-path", "1"), ("--label-smoothing", "-0.1"), ("--clip-grad", "0"), ("--lr", "nan"), ("--lr", "-1"),
    ("--optim.student.momentum", "1"), ("--ema.base", "2"), ("--ema.end", "inf"), ("--rand-augment", "wild"),
    ("--method", "mixpu"), ("--data", "../digits"), ("--backbone", "resnet1"), ("--tap", "layer9"), ("--device", "tpu"),
    ("--per-class", "100000"), ("--recipe", "a/b/c"), ("--budget", "2"), ("--size", "31"), ("--data", "folder"),
    ("--optim.student.warmup-epochs", "99"), ("--allow-missing-classes", "x"), ("--decode", "gpu"),
]  # fmt: skip


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Return an empty folder to work in, with one finished Run, in which nothing may begin."""

    def began(*args, **kwargs):
        raise AssertionError("it began")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "run_epoch", began)
    monkeypatch.setattr("adautomix.plans.orchestrate.run_plan", began)
    monkeypatch.setattr("adautomix.book.build", began)
    monkeypatch.setattr("adautomix.plans.report.status_text", began)
    monkeypatch.setattr("adautomix.runs.reference_mixes", began, raising=False)
    monkeypatch.setattr("adautomix.imported.fetch", began, raising=False)
    dataset = {"label": "digits", "classes": list("0123456789"), "size": 16, "fingerprint": "x", "n_test": 797}
    run = run_for("outputs/runs", TrainConfig(width=4), dataset)
    create(run, run_config := TrainConfig(width=4), dataset)
    assert run.config == run_config
    run.finish()
    return tmp_path


def test_malformed_command_lines_are_one_message_and_code_2(workplace):
    rng, count = rng_for("command lines"), times(60, 500)
    before, left_behind = set(workplace.rglob("*")), 0
    wrong = []
    for _ in range(count):
        line = malformed(rng)
        answer = call(*line)
        left = sorted(set(workplace.rglob("*")) - before)
        before |= set(left)
        left_behind += bool(left)
        if answer.code != 2 or not answer.told or left:
            wrong.append((line, answer, left))
    counted("malformed command lines", count, told=count - len(wrong), otherwise=len(wrong), left_something=left_behind)
    told = "\n".join(f"{line}: {a.code}, left {left} {(a.raised or a.err)[-500:]}" for line, a, left in wrong[:9])
    assert not wrong, f"seed {SEED}, {len(wrong)} of {count}:\n{told}"
