"""Plans of notebooks, run in parallel: `plan` and `tasks` check, `execute` runs one, `orchestrate` all."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "headers": "contents",
        "orchestrate": "run_plan",
        "plan": "find_plan read_plan",
        "tasks": "load_plan",
    },
)
