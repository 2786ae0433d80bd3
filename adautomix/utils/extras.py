"""Packages that only a part of the workbook needs, and the command that installs them."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from adautomix.utils.errors import UserError

EXTRA_OF = {"matplotlib": "figures", "seaborn": "figures", "skimage": "figures"}
"""Modules that rooms import when they are first used, and the extra of pyproject.toml that brings each."""


class MissingExtra(UserError, ImportError):
    """A package of an extra is not installed; the message has the command."""


def installing(extra: str) -> str:
    """Return the command that installs an extra: into a checkout's own environment, or beside an installed wheel."""
    checkout = (Path(__file__).resolve().parents[2] / "pyproject.toml").exists()
    return f"pip install -e '.[{extra}]'" if checkout else f"pip install 'adautomix[{extra}]'"


def import_or_tell(module: str) -> ModuleType:
    """Return an imported module.

    Raises: MissingExtra, naming the command, where it needs a package of an extra that is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        extra = EXTRA_OF[error.name]
        raise MissingExtra(f"this needs {error.name}, of the extra {extra!r}: {installing(extra)}") from error
