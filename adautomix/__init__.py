"""AdAutoMix workbook: the mixup family behind one interface, its trainer and its evaluators.

Everything listed here is imported on first use, so that `import adautomix` costs nothing: notebooks that only
read tables never load torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_EXPORTS = {
    "AdAutoMix": "methods.adautomix",
    "AutoMix": "methods.automix",
    "Classifier": "classifier",
    "Context": "methods.base",
    "DATASETS": "data",
    "EmaConfig": "config",
    "METHODS": "methods",
    "MixBlock": "generator",
    "MixMethod": "methods.base",
    "Mixed": "mixing",
    "OptimConfig": "config",
    "Run": "run",
    "TrainConfig": "config",
    "UserError": "errors",
    "find_runs": "run",
    "load_classifier": "checkpoint",
    "load_method": "checkpoint",
    "make_method": "methods",
    "table": "tables",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"module 'adautomix' has no attribute {name!r}")
    return getattr(import_module(f"adautomix.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
