"""AdAutoMix workbook: the mixup family behind one interface, its trainer and its evaluators.

Everything listed here is imported on first use, so that `import adautomix` costs nothing: notebooks that only
read tables never load torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_EXPORTS = {
    "AdAutoMix": "methods.adautomix",
    "AutoMix": "methods.automix",
    "Classifier": "models.classifier",
    "Context": "methods.base",
    "DATASETS": "data",
    "EmaConfig": "config",
    "METHODS": "methods",
    "MixBlock": "models.generator",
    "MixMethod": "methods.base",
    "Mixed": "methods.ops.mixing",
    "OptimConfig": "config",
    "Run": "runs.run",
    "TrainConfig": "config",
    "UserError": "utils.errors",
    "find_runs": "runs.run",
    "load_classifier": "runs.checkpoint",
    "load_method": "runs.checkpoint",
    "make_method": "methods",
    "table": "results.tables",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"module 'adautomix' has no attribute {name!r}")
    return getattr(import_module(f"adautomix.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
