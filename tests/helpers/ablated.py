"""Shared by the tests of ablations: finished runs whose accuracies are given, and a table's row."""

from adautomix.config import OptimConfig, TrainConfig
from adautomix.methods import resolve_options
from adautomix.runs.run import create, run_for

DATASET = {"label": "digits", "classes": ["0", "1"], "fingerprint": "f"}
SETTING = "digits, resnet18_w16, 8 epochs"
STUDENT = OptimConfig(lr=0.1, warmup_epochs=1.0)
BASE = {0: 90.0, 1: 92.0, 2: 91.0}


def finished(folder, tops, entropy=1.0, method="adautomix", **settings):
    """Return finished runs of some settings, one for each seed of `tops`, with the accuracy given there."""
    runs = []
    for seed, top in tops.items():
        fixed = {"data": "digits", "width": 16, "epochs": 8, "optim": {"student": STUDENT}}
        config = TrainConfig(method=method, seed=seed, **fixed | settings)
        if method == "adautomix":
            config = TrainConfig(**vars(config) | {"options": resolve_options(method, config.options)})
        run = run_for(folder, config, DATASET)
        create(run, config, DATASET)
        last = {"epoch": 2, "mask_entropy": entropy, "mask_area_gap": 0.2}
        run.write_history([{"epoch": 1, "mask_entropy": 9.0}, last])
        run.finish()
        for role, shift in (("student", 0), ("teacher", 1)):
            run.write_metrics("accuracy", role, {"value": {"top1": top + shift}, "n_images": 9})
        runs.append(run)
    return runs


def row(table, factor, value, role="student"):
    (found,) = table[(table["factor"] == factor) & (table["role"] == role)].to_dict("records")
    assert found["value"] == value
    return found
