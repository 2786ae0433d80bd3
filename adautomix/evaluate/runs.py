"""Evaluating Runs: their student and teacher, on their own test set, results stored in the Run.

A stored result is kept only if it is what is asked for now: as many images, the same corrupted images, the same
settings, and every value that the evaluator gives now.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import Any

from adautomix.data import dataset_for
from adautomix.data.base import Dataset, describe
from adautomix.data.loader import eval_loader
from adautomix.evaluate import ALL_EVALUATORS, SETTINGS, VALUES
from adautomix.evaluate.accuracy import accuracy_result, predict_finite
from adautomix.evaluate.calibration import calibration_result
from adautomix.evaluate.corruption_source import Files, corruption_source, source_settings
from adautomix.models.layout import layout_for
from adautomix.runs.networks import load_classifier
from adautomix.runs.run import Run, as_run
from adautomix.utils.errors import UserError, unknown
from adautomix.utils.progress import progress
from adautomix.utils.seeding import choose_device

OF_PREDICTIONS = {"accuracy": accuracy_result, "calibration": calibration_result}
"""Evaluators of one pass: these always take every test image, and share that pass."""
DEFAULT_SAMPLE = {"pgd": 1000, "autoattack": 1000}
"""Forty passes an image, or hundreds: a thousand images, the same for every network, are the field's habit."""


@dataclass(frozen=True)
class _Asked:
    """How `evaluate_run` was asked to evaluate; each as its argument of that name."""

    device: str
    root: str | None
    force: bool
    sample: int | None
    corrupted: Files
    log: Callable[[str], None]

    def images(self, name: str) -> int | None:
        """Return the number of test images for an evaluator; None for all."""
        return None if name in OF_PREDICTIONS else self.sample or DEFAULT_SAMPLE.get(name)


def evaluate_run(
    run: Run | str | Path,
    evaluators: str | Iterable[str] = ("accuracy",),
    *,
    roles: str | Iterable[str] | None = None,
    device: str = "auto",
    root: str | None = None,
    force: bool = False,
    sample: int | None = None,
    corrupted: Files = None,
    log: Callable[[str], None] = print,
) -> bool:
    """Run evaluators on a finished run and store their results in it; a stored result that fits the request is kept.

    Args:
        run: a finished Run, or its folder.
        evaluators: their names in ALL_EVALUATORS, or one.
        roles: student, teacher or both; default: those the run has.
        root: where the data set lies now, if not where the run was trained.
        force: evaluate again what is already there. Without it, a result of another number of images, of other
            corrupted images or settings than asked for now, or without a value that evaluators give now, is replaced;
            the others are kept.
        sample: number of test images for the evaluators of many passes (all but accuracy and calibration), drawn at
            random but the same for every network. None: all, but for pgd and autoattack 1,000.
        corrupted: folder of published CIFAR-C files, for runs on CIFAR; by default data/CIFAR-10-C or data/CIFAR-100-C
            where there, else the images are made anew and kept in a folder beside the data set's runs (64 px and less;
            above, not kept).
    Returns: False, after saying so, if the images there now are not those the run was trained on.
    Raises: UserError for no or an unknown evaluator, or a sample below 1. Also, after all other evaluators have run
        and with a line "run: evaluator: message" each, for what cannot be evaluated: a data set or files that cannot
        be read, outputs that are not finite.
    """
    run, names, missing, errors, found = as_run(run), _names(evaluators), [], [], True
    require_request(names, sample)
    asked = _Asked(device, root, force, sample, corrupted, log)
    for role, name in product(run.roles if roles is None else _names(roles), names):
        with _noted(errors, run.id, name):
            if force or not _kept(run, name, role, asked):
                missing.append((name, role))
    if missing:
        with _noted(errors, run.id):
            found = _evaluate(run, missing, errors, asked)
    elif not errors:
        log(f"{run.id}: already evaluated")
    if errors:
        raise UserError("\n".join(dict.fromkeys(errors)))  # student and teacher often have the same one
    return found


def _names(asked: str | Iterable[str]) -> tuple[str, ...]:
    return (asked,) if isinstance(asked, str) else tuple(dict.fromkeys(asked))


def require_request(evaluators: Collection[str], sample: int | None) -> None:
    """Raise UserError for no evaluator, an unknown one, or a sample below 1."""
    if not evaluators:
        raise UserError(f"no evaluator is named: give one or more of {', '.join(ALL_EVALUATORS)}")
    for name in evaluators:
        if name not in ALL_EVALUATORS:
            raise unknown("evaluator", name, ALL_EVALUATORS)
    if sample is not None and sample < 1:
        raise UserError(f"sample must be 1 or more, got {sample}")


def _evaluate(run: Run, missing: list[tuple[str, str]], errors: list[str], asked: _Asked) -> bool:
    """Evaluate pairs of evaluator and role, noting errors; False if these are not the images of the training."""
    config = run.config if asked.root is None else replace(run.config, root=asked.root)
    dataset, chosen = dataset_for(config), choose_device(asked.device)
    known = run.info["dataset"].get("fingerprint")
    if run.imported and dataset.fingerprint != known and (asked.force or known is None):
        adopt(run, dataset)
    if dataset.fingerprint != run.info["dataset"].get("fingerprint"):
        used = "evaluated on (--force takes these)" if run.imported else "trained on"
        asked.log(f"{run.id}: left out, {dataset.label} no longer holds the images it was {used}")
        return False
    # Shared by all evaluators and both roles: image files are decoded once.
    loader = cache(lambda few: eval_loader(dataset, device=chosen, workers=config.workers, sample=few))
    source = cache(lambda: corruption_source(dataset, run.path.parent, chosen, asked.corrupted, config.workers))

    def shown(few: int | None, name: str) -> Iterable[Any]:
        batches = loader(few)
        return progress(batches, total=len(batches), name=name, unit="batch")

    for role, pairs in groupby(missing, key=itemgetter(1)):
        model = load_classifier(run, role, chosen)
        layout = layout_for(model, chosen, channels_last=config.channels_last)
        model = model.to(memory_format=layout)  # as it was trained: a third less time on a CPU
        predictions = cache(lambda on=model, of=role: predict_finite(on, shown(None, f"clean images of the {of}")))
        for name, _ in pairs:
            with _noted(errors, run.id, name), run.measuring(name, role):
                if not asked.force and _kept(run, name, role, asked):  # another process was asked for it too
                    asked.log(f"{run.id}: {name} of the {role} was measured meanwhile")
                    continue
                if name in OF_PREDICTIONS:
                    result = OF_PREDICTIONS[name](predictions())
                else:
                    options = {"source": source()} if name == "corruption" else {}
                    batches = shown(asked.images(name), f"{name} of the {role}")
                    result = ALL_EVALUATORS[name](model, batches, **options)
                drawn = "all" if result["n_images"] == len(dataset.test) else "a fixed random sample"
                run.write_metrics(name, role, result | {"images": drawn, "device": str(chosen)})
                asked.log(f"{run.id}: {name} of the {role}: {_summary(result['value'])}")
    return True


def adopt(run: Run, dataset: Dataset) -> None:
    """Make a data set that of an imported run, whose results on others are forgotten; its normalisation stays.

    Of several processes that evaluate it one does; the results of the others stay.
    Raises: UserError if it has another number of classes.
    """
    with run.lock():
        now = Run(run.path).info["dataset"]  # another process may have been first
        if now.get("fingerprint") != dataset.fingerprint:
            _adopt(run, dataset)
    run.forget()


def _adopt(run: Run, dataset: Dataset) -> None:
    if dataset.num_classes != len(run.info["dataset"]["classes"]):
        raise UserError(
            f"the imported network has {len(run.info['dataset']['classes'])} classes, {dataset.label} has "
            f"{dataset.num_classes}; import it again with --data and --root"
        )
    shutil.rmtree(run.path / "metrics", ignore_errors=True)
    run.set_dataset(describe(dataset) | {name: run.info["dataset"][name] for name in ("mean", "std")})


def _kept(run: Run, name: str, role: str, asked: _Asked) -> bool:
    """Return whether the stored result is what is asked for; told from the run's records, without its data set."""
    stored, data = run.metrics(name, role), run.info["dataset"]
    if stored is None or not set(VALUES[name]) <= stored["value"].keys():  # or an older version's, which had fewer
        return False
    few, count, of = asked.images(name), data.get("n_test", 0), data.get("size", 0)
    if name == "corruption":
        of = source_settings(run.config.data, of, data.get("fingerprint"), asked.corrupted)
    return stored.get("n_images") == min(few or count, count) and stored.get("settings") == SETTINGS[name](of)


@contextmanager
def _noted(errors: list[str], *where: str) -> Iterator[None]:
    """Make a UserError a line of `errors` that says where it came up, and go on."""
    try:
        yield
    except UserError as error:
        errors.append(": ".join((*where, str(error))))


def _summary(value: dict) -> str:
    return ", ".join(f"{key} {number:.2f} {_unit(key)}" for key, number in value.items() if isinstance(number, float))


def _unit(name: str) -> str:
    return "nats" if name == "loss" else "%"
