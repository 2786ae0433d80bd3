"""The published CIFAR-10-C and CIFAR-100-C files: one .npy a corruption, severities one after the other.

50,000 rows, of which the first 10,000 are the test set at severity 1 and the last 10,000 at severity 5; labels.npy
repeats the test labels five times. Images are mapped from the disk, not read.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int, Int64, UInt8

from adautomix.evaluate.corruptions.tables import CORRUPTIONS15, CORRUPTIONS_EXTRA4
from adautomix.utils.errors import UserError, unknown

SEVERITIES = 5
HELP = (
    "the published files are Zenodo records 2535967 (CIFAR-10-C) and 3555552 (CIFAR-100-C); without them, "
    'corrupt(..., table="cifar") makes images of the same severities, to be called regenerated'
)


def load_cifar_c(
    root: Path | str,
    name: str,
    severity: int,
    *,
    labels: Int[np.ndarray, " N"] | None = None,
    expect: int = 10_000,
) -> tuple[UInt8[np.ndarray, "N 32 32 3"], Int64[np.ndarray, " N"]]:
    """Return one corruption at one severity, and the labels.

    Args:
        root: folder with the .npy files, e.g. CIFAR-100-C.
        name: one of the 19 corruptions.
        severity: 1 to 5.
        labels: those of the clean test set, to be compared.
        expect: images a severity; another number than 10,000 is for tests.
    Returns: uint8 [N,32,32,3], a read-only view of the file, 0 to 255; a new int64 array [N].
    Raises: UserError for an unknown name or severity, a missing file, a wrong shape or type, and labels that are not
        repeated five times or are not the clean ones.
    """
    known = CORRUPTIONS15 + CORRUPTIONS_EXTRA4
    if name not in known:
        raise unknown("corruption", name, known)
    require_severity(severity)
    images = _load(Path(root) / f"{name}.npy", (SEVERITIES * expect, 32, 32, 3))
    block = slice((severity - 1) * expect, severity * expect)
    return images[block], _labels(Path(root) / "labels.npy", labels, expect)


def require_severity(severity: int) -> None:
    """Raise UserError unless severity is a whole number from 1 to 5."""
    if isinstance(severity, bool) or not isinstance(severity, int) or not 1 <= severity <= SEVERITIES:
        raise UserError(f"severity must be a whole number from 1 (mild) to 5, got {severity!r}")


def _labels(path: Path, clean: np.ndarray | None, expect: int) -> Int64[np.ndarray, " N"]:
    repeated = _load(path, (SEVERITIES * expect,)).astype(np.int64).reshape(SEVERITIES, expect)
    if not (repeated == repeated[0]).all():
        raise UserError(f"{path} does not repeat the same {expect} labels for every severity; {HELP}")
    if clean is not None and not np.array_equal(repeated[0], clean):
        if len(clean) != expect:
            raise UserError(f"{len(clean)} clean labels given for {expect} corrupted images: give the whole test set's")
        differ = int((repeated[0] != clean).sum())
        raise UserError(
            f"{path} differs from the clean labels in {differ} of {expect} places: is it of the other data set, or the "
            "test set not in its published order?"
        )
    return repeated[0].copy()


def _load(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    wanted = f"{path}: expected a .npy file of shape {shape}, whole numbers (images: uint8)"
    if not path.is_file():
        raise UserError(f"{wanted}, but there is no such file; {HELP}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{wanted}, but it cannot be read ({error}); {HELP}") from error
    whole = array.dtype == np.uint8 or (len(shape) == 1 and array.dtype.kind in "iu")
    if array.shape != shape or not whole:
        raise UserError(f"{wanted}, got {array.dtype} {array.shape}; {HELP}")
    return array
