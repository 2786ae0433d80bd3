"""The mixup methods. A new one is a file here and a line in METHODS; nothing else changes."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adautomix.errors import UserError, unknown
from adautomix.lazy import LazyTable

if TYPE_CHECKING:
    from adautomix.classifier import Classifier
    from adautomix.methods.base import MixMethod

METHODS = LazyTable(
    "method",
    "adautomix.methods",
    {
        "vanilla": "vanilla:Vanilla",
        "mixup": "mixup:MixUp",
        "cutmix": "cutmix:CutMix",
        "automix": "automix:AutoMix",
        "adautomix": "adautomix:AdAutoMix",
    },
)


def resolve_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option of a method, the given ones checked and the others at their default.

    Raises: UserError for an unknown method or option, naming the closest one, or a value of the wrong type.
    """
    parameters = inspect.signature(METHODS[name]).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    for key, value in options.items():
        if key not in defaults:
            raise unknown(f"option of {name}", key, defaults)
        if not _same_kind(value, defaults[key]):
            raise UserError(f"{key} of {name} must be like its default {defaults[key]!r}, got {value!r}")
    return defaults | {k: type(defaults[k])(v) if isinstance(v, int) else v for k, v in options.items()}


def make_method(name: str, student: "Classifier", options: Mapping[str, Any] | None = None) -> "MixMethod":
    """Return a method ready to train `student` (which it does not keep)."""
    return METHODS[name].build(student, **resolve_options(name, options or {}))


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))
