"""Where the workbook is: notebooks, plans and outputs, whatever the working directory."""

from pathlib import Path

INSTALLED = Path(__file__).resolve().parents[1] / "workbook"
"""Notebooks, plans and published results inside an installed wheel; a checkout has them at its top instead."""


def workbook_root() -> Path:
    """Return the nearest folder at or above the working directory that holds `notebooks/plans`.

    Without one, the checkout this package was installed from (`pip install -e`), or else the working directory.
    """
    here = Path.cwd()
    checkout = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, checkout):
        if (folder / "notebooks" / "plans").is_dir():
            return folder
    return here


def shipped(path: str | Path) -> Path:
    """Return a file or folder that comes with the workbook: the workbook's own, or else the package's copy."""
    own = workbook_root() / path
    return own if own.exists() else INSTALLED / path


def in_workbook(path: str | Path) -> Path:
    """Return a path as it is if absolute, or else below the workbook's root."""
    return workbook_root() / Path(path).expanduser()
