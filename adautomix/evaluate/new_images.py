"""What a trained Run says of new image files: its classes and how sure it is of them.

Files are read as the evaluators read test images. A temperature that was chosen for the Run (notebook 11, or
`fit_temperature`) makes it as sure as it should be; without one a network is as sure as it was trained to be.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from adautomix.data.class_folders import files_below, suffix
from adautomix.data.images import EXTENSIONS, read_for_test
from adautomix.evaluate.batching import BATCH, full_float32, logits_of
from adautomix.evaluate.checks import require_finite
from adautomix.runs.networks import load_classifier
from adautomix.runs.run import Run, as_run
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import choose_device


@torch.no_grad()
@full_float32()
def classify(
    run: Run | str | Path,
    files: str | Path | Iterable[str | Path],
    *,
    role: str | None = None,
    top: int = 3,
    device: str = "auto",
    unreadable: Callable[[UserError], None] | None = None,
) -> pd.DataFrame:
    """Return the most probable classes of image files, one row per file and class, the first ones first.

    Args:
        run: a finished Run, or its folder, which may have been copied from elsewhere.
        files: an image file or a folder, or several; of a folder all images are taken, those in folders below
            too; not what is hidden or a system's ("._a.jpg", ".ipynb_checkpoints").
        role: student or teacher; default: the student, of a Run that is published without one the teacher.
        top: classes a file.
        unreadable: called with the error of a file that cannot be read, which is then left out; None raises it.
    Returns: columns file, rank (1 is the most probable), class, probability (0 to 1).
    Raises: UserError for no image, a file that cannot be read, a Run that is not trained to its end, or outputs that
        are not finite.
    """
    run = as_run(run)
    if top < 1:
        raise UserError(f"top must be 1 or more, got {top}")
    paths = list(_images(files))
    role, where = role or run.roles[0], choose_device(device)
    network = load_classifier(run, role, where)
    classes, side = run.info["dataset"]["classes"], run.info["dataset"]["size"]
    chosen = run.metrics("temperature", role)
    temperature = 1.0 if chosen is None else chosen["value"]["temperature"]
    rows = []
    for part in (paths[start : start + BATCH] for start in range(0, len(paths), BATCH)):
        read = [(path, image) for path in part if (image := _read(path, side, unreadable)) is not None]
        if not read:
            continue
        x = torch.stack([image for _, image in read]).to(where).float() / 255
        logits = logits_of(network, x).float()
        require_finite(logits)
        shares = (logits / temperature).softmax(dim=1).cpu()
        best = shares.sort(dim=1, descending=True, stable=True)  # of equal ones the first, as argmax has it
        for (path, _), values, ids in zip(read, best.values.tolist(), best.indices.tolist(), strict=True):
            named = zip(values[:top], ids[:top], strict=True)
            rows += [(_shown(path), rank, classes[k], value) for rank, (value, k) in enumerate(named, 1)]
    return pd.DataFrame(rows, columns=["file", "rank", "class", "probability"])


def _shown(path: Path) -> str:
    """Return a path as text that can be written: a name from an old archive may not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read(path: Path, side: int, unreadable: Callable[[UserError], None] | None) -> Tensor | None:
    try:
        return read_for_test(path, side)
    except UserError as error:
        if unreadable is None:
            raise
        unreadable(error)
        return None


def _images(files: str | Path | Iterable[str | Path]) -> Iterator[Path]:
    """Yield image files, and those below folders; raises UserError for a path that is neither, and for none at all."""
    count = 0
    for path in map(Path, [files] if isinstance(files, str | Path) else files):
        if not path.exists():
            raise UserError(f"there is no file or folder {path}")
        below = sorted(Path(*p) for p in files_below(path) if suffix(p[1]) in EXTENSIONS) if path.is_dir() else [path]
        if not below:
            raise UserError(f"the folder {path} holds no image file ({', '.join(sorted(EXTENSIONS))})")
        count += len(below)
        yield from below
    if not count:
        raise UserError("no image file was given")
