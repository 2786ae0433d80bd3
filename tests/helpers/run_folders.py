"""Shared by the tests of runs and tables: Run folders as training and evaluation leave them."""

from adautomix.config import TrainConfig
from adautomix.runs.run import ROLES, create, run_for

DATASET = {"label": "tiny", "classes": ["a", "b"], "size": 8, "mean": [0, 0, 0], "std": [1, 1, 1], "fingerprint": "f"}


def open_run(root, config, dataset):
    run = run_for(root, config, dataset)
    create(run, config, dataset)
    return run


def make_run(root, top1, dataset=DATASET, **changes):
    """Return a finished, evaluated run; the teacher is one point better than the student."""
    run = open_run(root, TrainConfig(**changes), dataset)
    epochs = range(1, run.config.epochs + 1)
    score = {"student_top1": top1, "student_loss": 1.0, "teacher_top1": top1 + 1, "teacher_loss": 0.9}
    run.write_history([{"epoch": e, "lr": 0.1} | score for e in epochs])
    for role, value in zip(ROLES, (top1, top1 + 1), strict=True):
        run.write_metrics("accuracy", role, {"value": {"top1": value}, "n_images": 10})
    run.finish()
    return run
