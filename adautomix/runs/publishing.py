"""Small trained networks that come with the workbook: a Run's teacher and generator in bfloat16, without the rest.

Such a folder is a Run like any other, with `teacher.safetensors` in place of its checkpoint: it can be looked at and
evaluated, but not trained on.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adautomix.runs.run import Run
from adautomix.utils.errors import UserError, first_line, unknown
from adautomix.utils.files import write_atomic, write_json
from adautomix.utils.paths import shipped

REFERENCE = Path("outputs/reference/small_data/networks")
"""Where the reference networks lie in the workbook: a published Run of a method each."""


def publish(run: Run, folder: str | Path, *, label: str | None = None, **told: Any) -> Run:
    """Write the teacher of a finished run, and what its method trained, into a Run of the same name, and return that.

    Args:
        folder: that is to hold it.
        label: what the images are called there, if not as in the run.
        told: settings of its config to replace, such as `root`, a folder that only its author has.
    Raises: UserError if the run is imported or not trained to its end, a setting is none of the config's, or the folder
        is the run's own.
    """
    from safetensors.torch import save_file

    from adautomix.runs.checkpoint import load

    if run.imported:
        raise UserError(f"{run.path} was imported, and has no history to publish: publish the file it came from")
    if not run.done:
        raise UserError(f"{run.path} is not trained to its end, and so not published")
    if stray := set(told) - set(run.info["config"]):
        raise unknown("config field", sorted(stray)[0], run.info["config"])
    published = Run(Path(folder) / run.id)
    if published.path.resolve() == run.path.resolve():
        raise UserError(f"{run.path} would be published into itself; give another folder than {folder}")
    state = load(run.checkpoint)
    parts = {"teacher": state["context"]["teacher"]} | state["trainables"]
    tensors = {f"{part}.{name}": small(tensor) for part, states in parts.items() for name, tensor in states.items()}
    published.path.mkdir(parents=True, exist_ok=True)
    write_atomic(published.weights, lambda path: save_file(tensors, path))
    images = run.info["dataset"] | ({} if label is None else {"label": label})
    write_json(published.path / "config.json", run.info | {"config": run.info["config"] | told, "dataset": images})
    shutil.copy(run.path / "history.csv", published.path)
    for path in (run.path / "metrics").glob("*.teacher.json"):
        (published.path / "metrics").mkdir(exist_ok=True)
        shutil.copy(path, published.path / "metrics")
    published.finish()
    return published


def small(tensor: Tensor) -> Tensor:
    """Return a tensor's values in bfloat16; whole numbers as they are."""
    return tensor.to(torch.bfloat16 if tensor.is_floating_point() else tensor.dtype).contiguous()


def published_state(run: Run) -> dict[str, dict[str, Tensor]]:
    """Return the parts of a published run, `teacher` and by name what the method trained, in float32.

    Raises: UserError for a file that is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    parts: dict[str, dict[str, Tensor]] = {}
    try:
        tensors = load_file(run.weights)
    except SafetensorError as error:
        raise UserError(f"{run.weights} is damaged ({first_line(error)}); get it anew") from error
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor.float() if tensor.is_floating_point() else tensor
    return parts


def reference_run(method: str = "adautomix") -> Run:
    """Return the reference network of a method, automix or adautomix: trained on CIFAR-10, 100 images a class.

    Raises: UserError for another method, or if neither the workbook nor the package has them.
    """
    folder = shipped(REFERENCE)
    found = {path.name.partition("-")[0]: path for path in sorted(folder.glob("*-*"))}
    if not found:
        raise UserError(f"the reference networks lie in {REFERENCE} of the workbook, and {folder} is not there")
    if method not in found:
        raise unknown("reference network", method, found)
    return Run(found[method])
