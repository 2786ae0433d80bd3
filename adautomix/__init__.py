"""AdAutoMix workbook: the mixup family behind one interface, its trainer and its evaluators.

Everything listed here is imported on first use, so that `import adautomix` costs nothing: notebooks that only
read tables never load torch.
"""

from adautomix.utils.lazy import lazy_exports

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "config": "EmaConfig OptimConfig TrainConfig",
        "data": "DATASETS load_dataset",
        "evaluate.new_images": "classify",
        "evaluate.runs": "evaluate_run",
        "methods": "METHODS make_method",
        "methods.adautomix": "AdAutoMix",
        "methods.automix": "AutoMix",
        "methods.base": "MixMethod",
        "methods.batch_mixer": "BatchMixer",
        "methods.context": "Context",
        "methods.ops.mixing": "Mixed",
        "models.classifier": "Classifier",
        "models.generator": "MixBlock",
        "results.tables": "table",
        "runs.networks": "load_classifier load_method",
        "runs.publishing": "reference_run",
        "runs.run": "Run find_runs",
        "training.loop": "train",
        "utils.errors": "UserError",
    },
)
