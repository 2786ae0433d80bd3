"""A table of names whose values are imported on first use.

`METHODS` and `DATASETS` are such tables: the runner and the command line can list and check names without
importing torch.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from adautomix.utils.errors import unknown


class LazyTable(Mapping[str, Any]):
    """Read-only mapping from a name to the object at `package.module:attribute`."""

    def __init__(self, what: str, package: str, entries: dict[str, str]) -> None:
        self._what, self._package, self._entries = what, package, entries

    def __getitem__(self, name: str) -> Any:
        """Return the object; raises UnknownName, naming the closest one."""
        if name not in self._entries:
            raise unknown(self._what, name, self._entries)
        module, attribute = self._entries[name].split(":")
        return getattr(import_module(f"{self._package}.{module}"), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"{self._what} table: {', '.join(self._entries)}"
