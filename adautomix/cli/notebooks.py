"""The subcommand `notebooks`: the workbook's notebooks and published results, out of an installed package."""

import shutil
import tempfile
from pathlib import Path

from adautomix.cli.arguments import Notebooks
from adautomix.utils.errors import UserError
from adautomix.utils.extras import installing
from adautomix.utils.paths import shipped

PARTS = ("notebooks", "outputs/reference", "tests/golden/mask/N3_lamconcat0_bilinear.npz")
"""The file holds what the authors' generator gave; notebook 02 compares."""
LEFT_OUT = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", ".*")


def copy_notebooks(args: Notebooks) -> int:
    """Copy notebooks, plans and the published results into a folder, which is a workbook then."""
    folder = Path(args.folder).expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there and not an empty folder; give a new one, nothing was written")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".notebooks-") as whole_or_nothing:
        made = Path(whole_or_nothing) / "workbook"
        for part in PARTS:
            if shipped(part).is_dir():
                shutil.copytree(shipped(part), made / part, ignore=LEFT_OUT)
            else:
                (made / part).parent.mkdir(parents=True)
                shutil.copy(shipped(part), made / part)
        if folder.exists():  # it may be where the user is
            for part in made.iterdir():
                shutil.move(part, folder)
        else:
            made.rename(folder)
    count = len(list((folder / "notebooks").glob("*.ipynb")))
    print(f"{count} notebooks: {folder / 'notebooks'}")
    print(f"To run them ({installing('lab,book')}):\n  cd {folder}\n  jupyter lab notebooks\n  adautomix run quick")
    return 0
