"""The networks: the classifier and its backbones, the mask generator, and the teacher's moving average."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "backbones": "build_backbone",
        "classifier": "Classifier Output",
        "ema": "momentum",
        "generator": "AutoMixBlock MixBlock attend scale_to upsample",
    },
)
