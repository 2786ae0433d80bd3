"""The table of notebooks, read from their own first cells so that it cannot go stale.

A first cell has a title `# NN · question?` and the fields **Goal**, **Prerequisites**, **Time**, **GPU**, **Reads** and
**Writes**; a field ends at a middle dot or an empty line.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from adautomix.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

OPEN_ELSEWHERE = re.compile(r"\n\n\[Open in Colab\]\(.*\)")
"""The line of links below a title that `make address` writes."""
LEARNING = ("01", "02", "03", "41")
"""Numbers of the notebooks that teach: they have exercises, handouts and slides."""
FIELDS = ("Time", "GPU", "Reads", "Writes")


def contents(folder: Path) -> "pd.DataFrame":
    """Return one row a notebook: name, question, time, GPU, reads and writes.

    Raises: UserError naming the notebook whose first cell lacks a field.
    """
    import pandas as pd  # not above: every command imports this file, and `adautomix --help` would take twice as long

    return pd.DataFrame([header(path) for path in sorted(folder.glob("[0-9]*.ipynb"))])


def header(path: Path) -> dict[str, str]:
    """Return the fields of one notebook's first cell."""
    text = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    title = re.match(r"# \d\d · (.+)", text)
    if title is None:
        raise UserError(f"{path.name}: the first cell must start with '# NN · question?'")
    row = {"notebook": path.stem, "question": title[1].strip()}
    for field in FIELDS:
        found = re.search(rf"\*\*{field}\*\*\s+(.+?)\s*(?:·|\n\n|\Z)", text, re.DOTALL)
        if found is None:
            raise UserError(f"{path.name}: the first cell has no field **{field}**")
        row[field] = " ".join(found[1].replace("`", "").split())
    return row
