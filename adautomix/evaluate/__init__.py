"""Evaluators: accuracy, corruptions, attacks, calibration, occlusion. Each changes neither the model nor the batches.

A model is a Classifier in eval mode. Nothing here imports `training`.
"""

from adautomix.utils.lazy import LazyTable, lazy_exports

_FILES = {
    "accuracy": "accuracy",
    "calibration": "calibration",
    "corruption": "corrupted",
    "fgsm": "attacks",
    "pgd": "pgd",
    "occlusion": "occlusion",
    "released": "released",
}
_EXTRAS = {"autoattack": "autoattack"}


def _table(function: str, files: dict[str, str]) -> LazyTable:
    entries = {name: f"{file}:{function}" for name, file in files.items()}
    return LazyTable("evaluator", "adautomix.evaluate", entries, extensible=False)  # one is two functions, see SETTINGS


EVALUATORS = _table("evaluate", _FILES)
"""The default set: what needs no extra package."""
ALL_EVALUATORS = _table("evaluate", _FILES | _EXTRAS)
"""Everything that can be asked for by name."""
SETTINGS = _table("settings", _FILES | _EXTRAS)
"""What a result records of how it was made, known before it is: by the images' side, of corruption by their source."""

_ATTACK = ("top1", "error", "clean", "curve")
VALUES = {
    "accuracy": ("top1", "top5", "balanced", "loss", "per_class"),
    "calibration": ("ece", "mce", "released_ece", "bins"),
    "corruption": ("top1", "error", "released_top1", "table"),
    "fgsm": _ATTACK,
    "pgd": _ATTACK,
    "autoattack": _ATTACK,
    "occlusion": ("mean", "half", "curve"),
    "released": ("fgsm_top1", "fgsm_error", "occlusion"),
}
"""What the value of a result holds. A stored one that lacks some of it is of an older version, and is made anew."""

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "accuracy": "accuracy_metrics predict",
        "calibration": "calibration_metrics",
        "cam": "grad_cam",
        "new_images": "classify",
        "occlusion": "patchdrop",
        "runs": "evaluate_run",
        "temperature": "cross_fit fit_temperature",
    },
)
