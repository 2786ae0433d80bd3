"""The Run, one folder a training: what lies in it, and which config is which. The only hand-over between stages."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "networks": "build_classifier load_classifier load_method",
        "publishing": "publish reference_run",
        "run": "ROLES Run find_runs",
        "showing": "reference_mixes",
    },
)
