"""Shared by the tests of the site: a plan of one notebook over two seeds, and what executed tasks leave."""

import json

from adautomix.plans.tasks import load_plan
from adautomix.utils.files import write_json
from helpers.plans import write_notebook, write_plan

HEAD = "# 10 · How?\n\n**Goal** to know\n\n**Time** 1 s · **GPU** no · **Reads** nothing · **Writes** nothing\n"


def two_seeds(tmp_path):
    """Return the plan, in a workbook that has another notebook besides; the folder must be the current one."""
    for name in ("10_train", "20_other"):
        path = write_notebook(tmp_path, name, "outputs: str = 'x'\nseed: int = 0", "import math", "1 + 1")
        notebook = json.loads(path.read_text())
        notebook["cells"].insert(0, {"cell_type": "markdown", "id": "head", "metadata": {}, "source": HEAD})
        path.write_text(json.dumps(notebook))
    write_plan(tmp_path, {"train": {"notebook": "10_train", "grid": {"seed": [0, 1]}}}, description="two seeds")
    return load_plan("tiny")


def executed(plan, *ids, html="<b>2</b>"):
    """Leave what an executed task leaves, with one HTML output."""
    for task in (plan.tasks[id_] for id_ in ids):
        notebook = json.loads(task.notebook.read_text())
        notebook["cells"][-1]["outputs"] = [
            {"output_type": "display_data", "data": {"text/html": html}, "metadata": {}}
        ]
        notebook["metadata"]["papermill"] = {"end_time": "2026-03-01T10:00:00"}
        write_json(task.folder / "notebook.ipynb", notebook)
        write_json(task.folder / "DONE", {"key": task.key, "upstream": {}, "run": "r", "seconds": 12.3})
