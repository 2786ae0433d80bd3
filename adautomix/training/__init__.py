"""`train()` and its epochs, what a step is, and the optimisers."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "loop": "train",
    },
)
