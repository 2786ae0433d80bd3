"""Names whose values are imported on first use: tables of them, and the exports of a room.

`METHODS` and `DATASETS` are such tables: the runner and the command line can list and check names without
importing torch. Installed packages add to them by entry points of the group of the same name (`adautomix.methods`).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from adautomix.utils.errors import UserError, unknown
from adautomix.utils.extras import import_or_tell


class LazyTable(Mapping[str, Any]):
    """Mapping from a name to the object at `package.module:attribute`; `lent` adds to it, for a while.

    Args:
        what: what its values are, in errors.
        package: the room whose files they lie in; also the group of other packages' entry points.
        entries: names and places, "module:attribute".
        needs: an attribute that every value has; another package's object without it is refused.
        extensible: whether entry points add to it.
    """

    def __init__(
        self, what: str, package: str, entries: dict[str, str], *, needs: str = "__call__", extensible: bool = True
    ) -> None:
        self._what, self._package, self._own, self._needs = what, package, entries, needs
        self._extensible = extensible
        self._lent: dict[str, Any] = {}

    @cached_property
    def _entries(self) -> dict[str, str | EntryPoint]:
        """The table's own entries, and those of installed packages under names of their own."""
        found = {point.name: point for point in entry_points(group=self._package)} if self._extensible else {}
        for name in found.keys() & self._own.keys():
            package = found.pop(name).dist.name
            warnings.warn(f"{package} has a {self._what} {name!r}, which is one of ours: not used", stacklevel=3)
        return {**self._own, **found}

    @contextmanager
    def lent(self, name: str, value: Any) -> Iterator[None]:
        """Hold one more object while the block runs: one of a user's own file. Raises UserError for a known name."""
        if name in self:
            raise UserError(f"there is a {self._what} {name!r} already; give yours another name")
        self._lent[name] = value
        try:
            yield
        finally:
            del self._lent[name]

    def __getitem__(self, name: str) -> Any:
        """Return the object; raises UnknownName, naming the closest one, or MissingExtra."""
        if name in self._lent:
            return self._lent[name]
        if name not in self._entries:
            raise unknown(self._what, name, self._entries)
        place = self._entries[name]
        if not isinstance(place, str):  # an EntryPoint, or that of the backport, where something imported it
            return self._loaded(place)
        module, attribute = place.split(":")
        return getattr(import_or_tell(f"{self._package}.{module}"), attribute)

    def _loaded(self, point: EntryPoint) -> Any:
        named = f"{self._what} {point.name!r} of the package {point.dist.name}"
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{named} cannot be imported from {point.value}: {error}") from error
        if not hasattr(found, self._needs):
            raise UserError(f"{named} is no {self._what}: {point.value} has no {self._needs}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._lent

    def __iter__(self) -> Iterator[str]:
        return iter([*self._entries, *self._lent])

    def __len__(self) -> int:
        return len(self._entries) + len(self._lent)

    def __repr__(self) -> str:
        return f"{self._what} table: {', '.join(self)}"


def lazy_exports(
    room: str, files: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return a room's `__getattr__`, `__dir__` and `__all__`, so that importing the room imports none of its files.

    Args:
        room: the room's `__name__`.
        files: names, in one string with spaces between, by the file that defines them. No name may be a file's own:
            once that is imported, Python has the file under it.
    """
    place = {name: file for file, names in files.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in place:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_or_tell(f"{room}.{place[name]}"), name)

    return get, lambda: sorted(place), sorted(place)
