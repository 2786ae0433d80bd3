"""Checkpoints of the authors' and of OpenMixup's programs, as Runs; the published ones are fetched."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "importing": "import_checkpoint",
        "published": "PUBLISHED fetch",
    },
)
