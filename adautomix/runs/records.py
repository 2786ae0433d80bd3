"""What stands in a Run's files, checked when read: a file may have been cut off, edited, or be another program's."""

from pathlib import Path
from typing import Any

import pandas as pd

from adautomix.utils.errors import UserError, first_line
from adautomix.utils.files import read_value
from adautomix.utils.typecheck import hint_text, matches_hint

PARTS = {"config": dict[str, Any], "dataset": dict[str, Any]}
"""What config.json of a Run must hold, and may hold:"""
OPTIONAL = {"sessions": list[dict[str, Any]], "imported": dict[str, Any]}
IMAGES = {
    "label": str,
    "classes": list,
    "size": int,
    "mean": list[float],
    "std": list[float],
    "n_train": int,
    "n_test": int,
    "n_validation": int,
    "fingerprint": str | None,
    "remarks": list[str],
}
"""What it may say of its images."""
NUMBERS = ("top1", "top5", "balanced", "loss", "error", "ece", "released_top1")
"""What is a number wherever an evaluator found it."""
LARGEST = 2**14
"""Px and classes beyond which a number is damaged, not meant."""


def is_record(path: Path) -> bool:
    """Return whether a config.json is a Run's: other programs have files of this name, which may hold no mapping.

    Raises: UserError for one that cannot be read.
    """
    value = read_value(path)
    return isinstance(value, dict) and set(PARTS) <= set(value)


def checked(info: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the content of a Run's config.json as it is; raises UserError saying what is wrong with it."""
    if missing := set(PARTS) - set(info):
        raise UserError(f"{path} is not a Run's: it has no {' and no '.join(sorted(missing))}")
    known = [(name, info[name], hint) for name, hint in (PARTS | OPTIONAL).items() if name in info]
    _require(known, path)
    images = info["dataset"]
    _require([(f"dataset.{name}", images[name], hint) for name, hint in IMAGES.items() if name in images], path)
    for name, size in (("size", images.get("size", 1)), ("classes", len(images.get("classes", [0])))):
        if not 1 <= size <= LARGEST:
            raise UserError(f"dataset.{name} in {path} must be 1 to {LARGEST}, got {size}")
    return info


def checked_metrics(result: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return an evaluator's result as it is; raises UserError if it has no values."""
    value = result.get("value")
    _require([("value", value, dict[str, Any])], path)
    _require([(f"value.{name}", value[name], float) for name in NUMBERS if name in value], path)
    return result


def read_history(path: Path) -> pd.DataFrame:
    """Return a history, one row per epoch and numbers only; raises UserError for a file that holds something else."""
    try:
        rows = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, OverflowError, MemoryError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"{path} is damaged ({first_line(error)}); {MENDED}") from error
    words = [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]
    if words or "epoch" not in rows:
        wrong = f"no numbers in {words[0]!r:.40}" if words else "no column epoch"
        raise UserError(f"{path} is damaged ({wrong}); {MENDED}")
    return rows


MENDED = "delete the file DONE beside it and train again: it is written anew from the checkpoint"


def _require(found: list[tuple[str, Any, Any]], path: Path) -> None:
    for name, value, hint in found:
        if not matches_hint(value, hint):
            raise UserError(f"{name} in {path} must be {hint_text(hint)}, got {str(value)[:80]!r}; the file is damaged")
