"""Evaluating Runs: their student and teacher, on their own test set, results stored in the Run."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from adautomix.checkpoint import load_classifier
from adautomix.data import dataset_for
from adautomix.data.base import IN_MEMORY, Dataset
from adautomix.data.loader import eval_loader
from adautomix.errors import UserError
from adautomix.evaluate import EVALUATORS
from adautomix.evaluate.corruptions.sources import Made, Source, default_table, keep, published
from adautomix.paths import in_workbook
from adautomix.progress import progress
from adautomix.run import ROLES, Run
from adautomix.seeding import choose_device

WHOLE = frozenset({"accuracy", "calibration"})
"""Evaluators of one pass: these always take every test image."""
PGD_IMAGES = 1000
"""PGD-20 costs forty passes an image; a thousand images, the same for every network, are the field's habit."""
PUBLISHED = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""Folders below the workbook's `data` in which published corruptions are looked for."""


def evaluate_run(
    run: Run,
    evaluators: Iterable[str] = ("accuracy",),
    *,
    roles: Iterable[str] = ROLES,
    device: str = "auto",
    root: str | None = None,
    force: bool = False,
    sample: int | None = None,
    corrupted: str | Path | None = None,
    log: Callable[[str], None] = print,
) -> bool:
    """Run evaluators on a finished run and store their results in it; those already there are kept.

    Args:
        root: where the data set lies now, if not where the run was trained.
        force: evaluate again what is already there.
        sample: number of test images for the evaluators of many passes (all but accuracy and calibration), drawn at
            random but the same for every network. None: all, but for pgd 1,000.
        corrupted: folder of published CIFAR-C files; by default data/CIFAR-10-C or data/CIFAR-100-C where there, else
            the images are made anew and kept in a folder beside the data set's runs (64 px and less; above, not kept).
    Returns: False, after saying so, if the images there now are not those the run was trained on.
    Raises: UserError for an unknown evaluator, or a data set or files that cannot be read.
    """
    wanted = [(name, role) for role in roles for name in evaluators]
    functions = {name: EVALUATORS[name] for name, _ in wanted}
    if sample is not None and sample < 1:
        raise UserError(f"sample must be 1 or more, got {sample}")
    missing = [(name, role) for name, role in wanted if force or run.metrics(name, role) is None]
    if not missing:
        log(f"{run.id}: already evaluated")
        return True
    config = run.config if root is None else replace(run.config, root=root)
    dataset, chosen = dataset_for(config), choose_device(device)
    if dataset.fingerprint != run.info["dataset"]["fingerprint"]:
        log(f"{run.id}: left out, {dataset.label} no longer holds the images it was trained on")
        return False
    options: dict[str, dict[str, Any]] = {}
    if any(name == "corruption" for name, _ in missing):
        folder = None if corrupted is None else in_workbook(corrupted)
        options["corruption"] = {"source": corruption_source(dataset, run.path.parent, chosen, folder, config.workers)}
    for role in dict.fromkeys(role for _, role in missing):
        model = load_classifier(run, role, chosen)
        for name in (n for n, r in missing if r == role):
            few = None if name in WHOLE else sample or (PGD_IMAGES if name == "pgd" else None)
            batches = eval_loader(dataset, device=chosen, workers=config.workers, sample=few)
            shown = progress(batches, total=len(batches), name=f"{name} of the {role}", unit="batch")
            result = functions[name](model, shown, **options.get(name, {}))
            drawn = "all" if result["n_images"] == len(dataset.test) else "a fixed random sample"
            run.write_metrics(name, role, result | {"images": drawn, "device": str(chosen)})
            log(f"{run.id}: {name} of the {role}: {_summary(result['value'])}")
    return True


def corruption_source(
    dataset: Dataset, folder: Path, device: torch.device, files: Path | None = None, workers: int = 2
) -> Source:
    """Return where a data set's corrupted test images come from: published files, a kept set, or made as needed.

    Args:
        folder: where a kept set goes, in a folder of its own.
        files: published CIFAR-C files; None: those below `data`, if they are there.
    """
    if files is None and dataset.name in PUBLISHED:
        usual = in_workbook("data") / PUBLISHED[dataset.name]
        files = usual if usual.is_dir() else None
    if files is not None:
        return published(files, dataset.test.labels)
    if dataset.size > IN_MEMORY:
        return Made()
    table = default_table(dataset.size)
    identity = {"data": dataset.label, "fingerprint": dataset.fingerprint, "images": len(dataset.test)}
    return keep(
        folder / f"corrupted-{table}-{dataset.fingerprint}",
        eval_loader(dataset, device=device, workers=workers),
        of=identity | {"size": dataset.size},
        table=table,
        bar=lambda names: progress(names, total=len(names), name="corrupting the test images", unit="corruption"),
    )


def _summary(value: dict) -> str:
    return ", ".join(f"{key} {number:.2f}" for key, number in value.items() if isinstance(number, float))
