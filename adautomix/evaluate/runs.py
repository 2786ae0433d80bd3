"""Evaluating Runs: their student and teacher, on their own test set, results stored in the Run."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from adautomix.checkpoint import load_classifier
from adautomix.data import dataset_for
from adautomix.data.loader import eval_loader
from adautomix.evaluate import EVALUATORS
from adautomix.run import ROLES, Run
from adautomix.seeding import choose_device


def evaluate_run(
    run: Run,
    evaluators: Iterable[str] = ("accuracy",),
    *,
    roles: Iterable[str] = ROLES,
    device: str = "auto",
    root: str | None = None,
    force: bool = False,
    log: Callable[[str], None] = print,
) -> bool:
    """Run evaluators on a finished run and store their results in it; those already there are kept.

    Args:
        root: where the data set lies now, if not where the run was trained.
        force: evaluate again what is already there.
    Returns: False, after saying so, if the images there now are not those the run was trained on.
    Raises: UserError for an unknown evaluator, or a data set that cannot be read.
    """
    wanted = [(name, role) for role in roles for name in evaluators]
    functions = {name: EVALUATORS[name] for name, _ in wanted}
    missing = [(name, role) for name, role in wanted if force or run.metrics(name, role) is None]
    if not missing:
        log(f"{run.id}: already evaluated")
        return True
    config = run.config if root is None else replace(run.config, root=root)
    dataset, chosen = dataset_for(config), choose_device(device)
    if dataset.fingerprint != run.info["dataset"]["fingerprint"]:
        log(f"{run.id}: left out, {dataset.label} no longer holds the images it was trained on")
        return False
    batches = eval_loader(dataset, device=chosen, workers=config.workers)
    for role in dict.fromkeys(role for _, role in missing):
        model = load_classifier(run, role, chosen)
        for name in (n for n, r in missing if r == role):
            result = functions[name](model, batches)
            run.write_metrics(name, role, result | {"device": str(chosen)})
            log(f"{run.id}: {name} of the {role}: {_summary(result['value'])}")
    return True


def _summary(value: dict) -> str:
    return ", ".join(f"{key} {number:.2f}" for key, number in value.items() if isinstance(number, float))
