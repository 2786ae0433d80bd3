"""Shared by the tests of the paper's tables and of the rules: Runs with known learning curves."""

from dataclasses import replace

import pandas as pd

from adautomix.config import TrainConfig
from adautomix.methods import resolve_options
from adautomix.recipes import RECIPES
from adautomix.recipes.released import IMAGES
from adautomix.runs.run import Run, create, find_runs, run_for

CURVE = [*range(10, 40), 90]
"""Rises by one an epoch, and jumps in the last."""


def history(student, teacher=None, val=None):
    values = {"epoch": range(1, len(student) + 1), "student_top1": student, "teacher_top1": teacher or student}
    held_out = {} if val is None else {"student_val_top1": val, "teacher_val_top1": val}
    losses = {f"{role}_loss": [1.0] * len(student) for role in ("student", "teacher")}
    return pd.DataFrame(values | held_out | losses)


def write_run(root, config: TrainConfig, student, teacher=None, **of_images) -> Run:
    config = replace(config, options=resolve_options(config.method, config.options))
    classes, images = IMAGES[config.data]
    held_out = round(images * config.validation)
    dataset = {"label": config.data, "classes": list(range(classes)), "fingerprint": "x"}
    dataset |= {"n_train": images - held_out, "n_validation": held_out} | of_images
    run = run_for(root, config, dataset)
    create(run, config, dataset)
    run.write_history(history(student, teacher).to_dict("records"))
    run.finish()
    return run


def three_seeds(folder) -> list[Run]:
    """Three seeds of MixUp and AdAutoMix on 1 % of the epochs, released and fair, and something that is no recipe."""
    for seed in range(3):
        for method, student, teacher in (("mixup", 50 + seed, 40), ("adautomix", 48, 55 + seed)):
            config = RECIPES[f"cifar100_resnet18/{method}"].config(budget=0.01, seed=seed)
            write_run(folder, config, [student] * 8, [teacher] * 8)
        fair = RECIPES["cifar100_resnet18/adautomix"].config(budget=0.01, seed=seed, fair=True)
        write_run(folder, fair, [60 + seed] * 8, [30] * 8)
    write_run(folder, TrainConfig(data="cifar100", method="cutmix", epochs=8), [99] * 8)
    return find_runs(folder)
