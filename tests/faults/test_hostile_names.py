"""Names that are HTML, LaTeX, shell or paths: shown as they are, run nowhere, and nothing is written outside."""

import csv
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.faults import call, counted, outcome
from helpers.plans import write_notebook
from helpers.trees import write_jpeg

from adautomix import TrainConfig, figures
from adautomix.book.front import code
from adautomix.data import DATASETS
from adautomix.evaluate.runs import evaluate_run
from adautomix.plans.notebook import parameters_of
from adautomix.results import class_accuracies, table, wide_table
from adautomix.runs.run import run_for
from adautomix.training import train
from adautomix.utils.errors import UserError

NAMES = (
    "<img src=x onerror=alert(1)>",
    "</td><script>alert(1)<",
    "$\\frac{$",
    "$x$ and $",
    "\\input{.etc.passwd}",
    "%s {0} {{name}}",
    "`touch MARKER`",
    "$(touch MARKER)",
    "; touch MARKER",
    "a|b&c\"d'e",
    "\u202egpj.exe",
    "-rf",
    "--help",
)
PATHS = ("../../escaped", "/tmp/escaped", "..", "a/../../../escaped")
"""Names that no folder can have; a list of labels can."""


@pytest.fixture
def marked(tmp_path, monkeypatch):
    """Work in a folder in which a shell command would leave MARKER."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def drawn(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    assert "<script" not in file.getvalue()


def shown(classes):
    """Draw and tabulate class names in every way the workbook does; return the HTML."""
    count = len(classes)
    pictures = [np.zeros((3, 4, 4))] * count
    drawn(figures.image_row(pictures, classes))
    drawn(figures.image_row(pictures[:2], [figures.label_text([0.6, 0.4], classes[i : i + 2]) for i in range(2)]))
    drawn(figures.picture_grid({"image": pictures[:3]}, classes[:3]))
    values = pd.DataFrame([[50.0, *[None] * (count - 1)]], columns=classes, index=["mixup"])
    drawn(figures.per_class_heatmap(values.astype(float)))
    frame = pd.DataFrame({"class": classes, classes[0]: range(count)})
    return figures.format_table(frame, caption=classes[1]).to_html()


def test_class_names_are_drawn_and_tabulated_as_they_are(marked):
    tries = {}
    names = [*NAMES, *PATHS]
    for start in range(0, len(names) - 2, 2):
        tries[names[start]] = outcome(lambda s=start: shown(names[s : s + 3]))
    html = "".join(value for _, value in tries.values())
    faults = [f"{name}: {value[-600:]}" for name, (state, value) in tries.items() if state != "read"]
    counted("names in figures and tables", len(tries), tracebacks=len(faults), markup_let_through=html.count("<script"))
    assert not faults
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert not list(marked.rglob("MARKER"))


def test_a_name_in_a_figure_reads_as_it_is_written():
    figure = figures.image_row([np.zeros((3, 4, 4))], ["$5 or $6"])
    assert figure.axes[0].get_title().replace("\\$", "$") == "$5 or $6"
    drawn(figure)


def test_a_run_on_classes_and_a_folder_with_such_names_stays_in_its_folder(marked):
    root = marked / "my <b>$x$<b>; `touch MARKER`"
    rows = []
    for k, name in enumerate([*NAMES, *PATHS]):
        for part, count in (("train", 2), ("test", 1)):
            for i in range(count):
                path = root / "images" / f"{part}{k}{i}.jpg"
                write_jpeg(path, k, i + 5 * (part == "test"), 8)
                rows.append((f"images/{path.name}", name, part))
    with (root / "all.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    before = set(marked.parent.rglob("*"))
    config = TrainConfig(data="csv", root=str(root / "all.csv"), width=4, size=8, epochs=1, batch_size=8, device="cpu")
    run = train(config, marked / "runs", log=lambda line: None)
    evaluate_run(run, ["accuracy"], device="cpu", log=lambda line: None)
    assert sorted(run.info["dataset"]["classes"]) == sorted([*NAMES, *PATHS])
    drawn(figures.per_class_heatmap(class_accuracies([run])))
    html = figures.format_table(wide_table(table([run]))).to_html()
    assert "<b>" not in html
    new = set(marked.parent.rglob("*")) - before
    assert all(path.is_relative_to(marked / "runs") for path in new), new
    assert DATASETS["folder"](root=_as_folders(root)).label == "folder-my _b__x__b__ _touch MARKER_"


def _as_folders(root):
    for name in NAMES[:2]:
        for i in range(5):
            write_jpeg(root / name.replace("/", "") / f"{i}.jpg", 0, i, 8)
    for path in (root / "images", root / "all.csv"):
        path.rename(root.parent / path.name)
    return root


@pytest.mark.parametrize("backbone", ["../../../escaped", "/tmp/escaped", "hf-hub:a/b", "$(touch MARKER)", "<script>"])
def test_a_backbone_that_is_a_path_makes_no_folder_outside(marked, backbone):
    dataset = {"label": "digits", "classes": [], "fingerprint": "x"}
    run = run_for(marked / "runs", TrainConfig(backbone=backbone), dataset)
    assert run.path.parent == marked / "runs" / "digits"
    assert ".." not in run.path.parts
    assert "<" not in run.id


@pytest.mark.parametrize("name", [*NAMES, *PATHS])
def test_names_of_plans_steps_and_outputs_are_folders_or_are_refused(marked, name):
    write_notebook(marked, "ok", 'outputs: str = "x"  # where', "pass")
    plans = marked / "notebooks" / "plans"
    plans.mkdir()
    (plans / "tiny.yaml").write_text(yaml.safe_dump({"steps": {"a": {"notebook": "ok"}}}))
    (plans / "steps.yaml").write_text(yaml.safe_dump({"steps": {name: {"notebook": "ok"}}}))
    lines = [["status", "tiny", f"--name={name}"], ["status", "steps"], ["run", "tiny", "--set", f"outputs={name}"]]
    lines += [
        ["run", "tiny", "--set", f"{name}=1"],
        ["run", name, "--name", "fine"],
        ["status", "tiny", f"--set={name}"],
    ]
    if "/" not in name:
        (marked / f"{name}.yaml").write_text((plans / "tiny.yaml").read_text())
        lines.append(["status", str(marked / f"{name}.yaml"), "--name", "fine"])
    for line in lines:
        answer = call(*line)
        assert (answer.code == 2 and answer.told) or (name in ("-rf", "--help") and answer.code == 0), (line, answer)
    assert not (marked / "outputs").exists()
    assert not list(marked.rglob("MARKER"))


def test_a_notebooks_type_hint_is_looked_at_and_never_called(tmp_path):
    evil = 'x: "[c for c in ().__class__.__base__.__subclasses__()]" = 1  # help'
    path = write_notebook(tmp_path, "evil", evil, "pass")
    with pytest.raises(UserError, match="parameter x needs a literal value and a type"):
        parameters_of(path)
    call_it = write_notebook(tmp_path, "call", "x: print('ran') = 1  # help", "pass")
    with pytest.raises(UserError, match="parameter x needs"):
        parameters_of(call_it)


@pytest.mark.parametrize("value", ["`<script>alert(1)</script>`", "a``b", "$x$", "a\nb", "<b>"])
def test_a_setting_is_code_on_the_sites_front_page(value):
    pytest.importorskip("markdown_it", reason="comes with the site")
    from markdown_it import MarkdownIt

    page = MarkdownIt("commonmark").render(f"**Run with {code(f'root={value}')}**, whatever it says.")
    assert page.startswith("<p><strong>Run with <code>")
    assert "<script" not in page
    assert "<b>" not in page


def test_a_plan_with_a_hostile_parameter_gives_it_to_the_notebook_as_text(tmp_path, monkeypatch):
    papermill = pytest.importorskip("papermill.translators")
    for value in (*NAMES, *PATHS, '"""\nimport os', "'''", "\\", '\\"'):
        cell = papermill.PythonTranslator.codify({"root": value, "options": {value: [value]}}, "")
        names = {}
        exec(cell, {"__builtins__": {}}, names)
        assert names == {"root": value, "options": {value: [value]}}, value
