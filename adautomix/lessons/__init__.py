"""What the learning notebooks' exercises need: checks that say "right" or what is off, and the frozen game of 03."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "game": "Terms frozen_game measures mixed_by seen_by",
        "mixers": "check_cutmix check_mixblock check_mixup",
        "objectives": "check_collapse check_objective check_repair",
    },
)
