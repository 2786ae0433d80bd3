"""Errors, seeds, atomic files, paths and type checks: nothing about images. Every room may use it."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "errors": "UserError",
        "extras": "MissingExtra import_or_tell installing",
        "paths": "in_workbook shipped workbook_root",
        "seeding": "choose_device generator_for seed_for",
    },
)
