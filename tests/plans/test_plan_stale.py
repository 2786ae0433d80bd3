"""Staleness: when is a task another one, or to be run again?"""

import shutil
from pathlib import Path

import pytest
from helpers.plans import PARAMETERS, plan_of, two_notebooks, write_notebook

import adautomix.plans.tasks as tasks_module
from adautomix.plans.execute import is_done
from adautomix.plans.orchestrate import unsettled
from adautomix.plans.tasks import load_plan, source_hash
from adautomix.utils.files import write_json
from adautomix.utils.task import LISTED

PACKAGE = Path(tasks_module.__file__).resolve().parents[1]


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


def key(workbook, step=None, **top):
    steps = {"a": {"notebook": "train"} | (step or {}), "b": {"notebook": "table", "needs": "a"}}
    tasks = plan_of(workbook, steps, **top).tasks
    return tasks["a"].key, tasks["b"].key


def test_a_task_is_another_for_other_parameters_notebook_or_upstream(workbook):
    first = key(workbook)
    assert key(workbook) == first
    changed = key(workbook, {"parameters": {"epochs": 2}})
    assert changed[0] != first[0]
    assert changed[1] != first[1]  # its upstream changed
    write_notebook(workbook, "train", PARAMETERS, "pass  # edited")
    assert key(workbook)[0] != first[0]


def test_the_packages_source_makes_stale_everything_but_training(workbook, monkeypatch):
    plain, training = key(workbook), key(workbook, {"training": True})
    monkeypatch.setattr(tasks_module, "source_hash", lambda published: "edited")
    assert key(workbook)[0] != plain[0]
    assert key(workbook, {"training": True})[0] == training[0]


def test_published_results_make_stale_everything_but_training_and_text_about_them_nothing(workbook):
    published = workbook / "outputs" / "reference"
    published.mkdir(parents=True)
    keys = []
    for name, text in [("README.md", "a"), ("README.md", "b"), ("scores.csv", "a"), ("scores.csv", "b")]:
        (published / name).write_text(text)
        source_hash.cache_clear()
        keys.append((key(workbook), key(workbook, {"training": True})[0]))
    assert keys[0] == keys[1]
    assert len({own for (own, _), _ in keys}) == 3
    assert len({training for _, training in keys}) == 1


def test_the_papers_tables_belong_to_the_source(tmp_path, monkeypatch):
    """Notebooks read them as they read the code."""
    before, package = source_hash(tmp_path), tmp_path / "package"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(tasks_module, "__file__", str(package / "plans" / "tasks.py"))
    published = tmp_path / "none"
    source_hash.cache_clear()
    assert source_hash(published) == before
    (package / "book" / "index.md").write_text("another page")
    source_hash.cache_clear()
    assert source_hash(published) == before
    with (package / "paper" / "table1.csv").open("a") as file:
        file.write("\n")
    source_hash.cache_clear()
    assert source_hash(published) != before
    source_hash.cache_clear()


def test_moving_the_outputs_does_not_make_a_task_stale(workbook):
    first = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    moved = load_plan(workbook / "notebooks" / "plans" / "tiny.yaml", name="other").tasks["a"]
    assert first.folder != moved.folder
    assert first.key == moved.key
    assert not is_done(first)


def test_a_task_after_one_that_runs_runs_too(workbook):
    steps = {"a": {"notebook": "train"}, "b": {"notebook": "table", "needs": "a"}, "c": {"notebook": "table"}}
    tasks = plan_of(workbook, steps).tasks
    for task in tasks.values():
        write_json(task.folder / "DONE", {"key": task.key, "run": task.id, "upstream": {n: n for n in task.needs}})
    assert unsettled(tasks.values(), set()) == []
    assert [t.id for t in unsettled(tasks.values(), {"a"})] == ["a", "b"]
    write_json(tasks["c"].folder / "DONE", {"key": "another", "run": "c", "upstream": {}})
    assert [t.id for t in unsettled(tasks.values(), set())] == ["c"]
    write_json(tasks["a"].folder / "DONE", {"key": tasks["a"].key, "run": "again", "upstream": {}})
    assert [t.id for t in unsettled(tasks.values(), set())] == ["b", "c"]  # b has not seen the new run of a


def test_a_training_task_whose_run_was_deleted_is_not_done(workbook):
    task = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    run = workbook / "outputs" / "tiny" / "runs" / "one"
    write_json(task.folder / "DONE", {"key": task.key, "run": "x", "upstream": {}})
    write_json(run / "DONE", {})
    (task.folder / LISTED).write_text("../../runs/one\n")
    assert is_done(task)
    (run / "DONE").unlink()
    assert not is_done(task)


def test_another_root_is_another_task(workbook):
    write_notebook(workbook, "data", "root: str = 'a'  # where", "pass")
    first, second = (plan_of(workbook, {"a": {"notebook": "data"}}, settings={"root": r}).tasks["a"] for r in "ab")
    assert first.key != second.key
