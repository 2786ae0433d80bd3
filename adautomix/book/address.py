"""Gives the workbook its public address: links to Colab and Binder, and a first cell that installs it on Colab.

    make address REPOSITORY=owner/name

Once, when the repository is on GitHub, and again if it moves: a link needs the address, and a notebook that Colab has
opened cannot find out where it came from.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from adautomix.plans.headers import OPEN_ELSEWHERE
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_atomic
from adautomix.utils.paths import workbook_root

HOST = "https://github.com"
GUARD = "install-on-colab"
"""Tag of the cell, beside `hide-cell`, which folds it on a page."""
INSTALL = """\
# On Colab: installs the package this notebook needs. Does nothing elsewhere.
import importlib.util
import os
import subprocess
import sys

missing = importlib.util.find_spec("adautomix") is None
if missing and "COLAB_RELEASE_TAG" in os.environ:
    wanted = "adautomix[figures] @ git+{address}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", wanted], check=True)"""


def set_address(repository: str, root: Path | None = None) -> list[Path]:
    """Write the address into every numbered notebook, CITATION.cff and pyproject.toml; return the files that changed.

    Args:
        repository: `owner/name` on GitHub, whose branch is `main`.
        root: the checkout; None: the one that holds the working directory.
    Raises: UserError if it is not `owner/name`, or the folder is no checkout; nothing is written then.
    """
    root = root or workbook_root()
    if not re.fullmatch(r"[A-Za-z\d](?:[A-Za-z\d-]*[A-Za-z\d])?/[\w.-]+", repository):
        raise UserError(f"the repository must be owner/name as on GitHub, got {repository!r}")
    named = [root / "CITATION.cff", root / "pyproject.toml"]
    lost = [path.name for path in named if not path.exists()]
    if lost:
        raise UserError(f"{root} has no {' and no '.join(lost)}; call it in a checkout of the workbook")
    address = f"{HOST}/{repository}"
    texts = {path: path.read_text(encoding="utf-8") for path in [*sorted((root / "notebooks").glob("*.ipynb")), *named]}
    new = {
        path: _notebook(json.loads(text), path.name, repository)
        for path, text in texts.items()
        if ".ipynb" in path.name
    }
    new[named[0]] = _line(texts[named[0]], "repository-code: ", f'"{address}"', before="license: ")
    new[named[1]] = _line(texts[named[1]], "urls.Repository = ", f'"{address}"', before="requires-python = ")
    changed = [path for path, text in new.items() if text != texts[path]]
    for path in changed:
        write_atomic(path, lambda part, text=new[path]: part.write_text(text, encoding="utf-8"))
    return changed


def _notebook(notebook: dict[str, Any], name: str, repository: str) -> str:
    cells = [cell for cell in notebook["cells"] if not is_guard(cell)]
    title, _, rest = OPEN_ELSEWHERE.sub("", "".join(cells[0]["source"])).partition("\n")
    cells[0]["source"] = f"{title}\n\n{_links(name, repository)}\n{rest}".splitlines(keepends=True)
    source = INSTALL.format(address=f"{HOST}/{repository}").splitlines(keepends=True)
    guard = {"cell_type": "code", "execution_count": None, "id": "", "metadata": {"tags": ["hide-cell", GUARD]}}
    notebook["cells"] = [cells[0], guard | {"outputs": [], "source": source}, *cells[1:]]
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = str(number)  # as nbstripout, which `make lint` asks, numbers them
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def is_guard(cell: dict[str, Any]) -> bool:
    """Return whether this is the cell that installs the package on Colab."""
    return GUARD in cell["metadata"].get("tags", [])


def _links(name: str, repository: str) -> str:
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?labpath=notebooks/{name}"
    return f"[Open in Colab]({colab}) · [Open in Binder]({binder})"


def _line(text: str, key: str, value: str, before: str) -> str:
    """Return text with one line `key value`: instead of the one there, or in front of the line that starts so."""
    text = re.sub(rf"^{re.escape(key)}.*\n", "", text, flags=re.MULTILINE)
    return re.sub(rf"^{re.escape(before)}", f"{key}{value}\n{before}", text, count=1, flags=re.MULTILINE)


if __name__ == "__main__":
    try:
        for file in set_address(*sys.argv[1:2] or [""]):
            print(file)
    except UserError as error:
        sys.exit(f"error: {error}")
