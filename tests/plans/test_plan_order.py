"""Order: which task starts next, and what follows when one fails or does not start?"""

import os
from pathlib import Path

import pytest
from helpers.plans import plan_of, two_notebooks

from adautomix.plans.cluster import connect
from adautomix.plans.execute import Outcome, TaskFailed, execute
from adautomix.plans.in_hand import STARTED
from adautomix.plans.place import Place, Where
from adautomix.plans.private_kernels import start_and_run
from adautomix.plans.progress import Progress, _skipped
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_json
from adautomix.utils.task import VARIABLE, in_task


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


class Bench(Place):
    """Workers with so many GPUs each, and no dask."""

    def __init__(self, workers):
        self.gpus = workers

    def workers(self):
        return self.gpus


def startable(waiting, running, workers):
    """Return the ids of the tasks that start now beside those that run."""
    progress = Progress(Bench(workers), [*waiting, *running], set(), "")
    for task in running:
        progress.running[task.id] = progress.waiting.pop(task.id)
    started = []
    while (task := progress._next(workers)) is not None:
        progress.running[task.id] = progress.waiting.pop(task.id)
        started.append(task.id)
    return started


def test_tasks_start_in_order_when_needs_are_done_and_workers_free(workbook):
    steps = {
        "a": {"notebook": "train", "grid": {"epochs": [1, 2, 3]}},
        "b": {"notebook": "train", "needs": "a"},
        "c": {"notebook": "table"},
    }
    tasks = list(plan_of(workbook, steps).tasks.values())
    first, rest = tasks[:3], tasks[3:]
    assert startable(tasks, [], [0, 0]) == ["a.epochs=1", "a.epochs=2"]
    assert startable(tasks, [], [0] * 4) == ["a.epochs=1", "a.epochs=2", "a.epochs=3", "c"]
    assert startable(rest, first, [0] * 4) == ["c"]  # b waits for all of a
    assert startable(rest, first, [0] * 3) == []
    assert startable(rest, first, [0]) == []  # workers that went away take their notebooks' places with them
    assert startable(rest, [], [0, 0]) == ["b", "c"]


def test_steps_keep_the_files_order_wherever_their_needs_allow_it(workbook):
    """What many wait for may stand before what needs nothing, so that it does not come last."""
    table = {"notebook": "table"}
    steps = {
        "report": table | {"needs": "long"},
        "train": {"notebook": "train"},
        "long": table | {"needs": "train"},
        "last": table,
        "late": table | {"needs": "last"},
    }
    assert list(plan_of(workbook, steps).steps) == ["train", "long", "report", "last", "late"]


def test_a_gpu_task_waits_for_a_gpu_and_others_pass_it(workbook):
    steps = {"a": {"notebook": "train", "gpu": True, "grid": {"epochs": [1, 2]}}, "c": {"notebook": "table"}}
    tasks = list(plan_of(workbook, steps).tasks.values())
    assert startable(tasks, [], [1, 0]) == ["a.epochs=1", "c"]
    assert startable(tasks, [], [0, 0]) == ["a.epochs=1", "a.epochs=2"]  # none anywhere


def test_everything_after_a_failure_is_skipped_because_of_it(workbook):
    steps = {
        "a": {"notebook": "train"},
        "b": {"notebook": "train", "needs": "a"},
        "c": {"notebook": "table", "needs": "b"},
        "d": {"notebook": "table"},
    }
    waiting = dict(plan_of(workbook, steps).tasks)
    del waiting["a"]
    skipped = _skipped(waiting, {"a": Outcome("a", "failed", reason="broken")})
    assert [(o.id, o.reason) for o in skipped] == [("b", "skipped because of a"), ("c", "skipped because of a")]


def test_an_error_outside_the_notebook_is_told_as_what_it_is(workbook, monkeypatch):
    task = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    (workbook / "outputs").write_text("a file where a folder should be")
    with pytest.raises(TaskFailed) as caught:
        execute(task)
    assert "NotADirectoryError" in str(caught.value)


def test_a_scheduler_that_starts_a_task_again_is_refused(workbook):
    task = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    task.folder.mkdir(parents=True)
    write_json(task.folder / STARTED, {"submission": "this run"})
    with pytest.raises(TaskFailed) as caught:
        execute(task, submission="this run")
    assert "worker process was killed" in str(caught.value)


@pytest.mark.parametrize(("failures", "works"), [(1, True), (3, False)])
def test_on_windows_a_kernel_that_did_not_start_is_tried_again(monkeypatch, failures, works):
    class Papermill:
        calls = 0

        def execute_notebook(self, config):
            self.calls += 1
            if self.calls <= failures:
                raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr("sys.platform", "win32")
    papermill = Papermill()
    if works:
        start_and_run(papermill)
        assert papermill.calls == failures + 1
    else:
        with pytest.raises(RuntimeError):
            start_and_run(papermill)
        assert papermill.calls == 3


def test_slurm_gives_every_job_gpus_of_its_own():
    with pytest.raises(UserError, match="gpu_share is of this machine's GPUs"), connect(Where(2, "slurm", 2)):
        pass


@pytest.mark.parametrize("share", [0, True, "two"])
def test_a_share_of_a_gpu_is_a_whole_number(workbook, share):
    with pytest.raises(UserError, match=f"gpu_share must be a whole number, 1 or more, got {share!r}"):
        plan_of(workbook, {"a": {"notebook": "train"}}, gpu_share=share)


@pytest.mark.parametrize(("minutes", "seconds"), [(0.001, 1), (0.05, 3), (None, None)])
def test_papermill_is_given_whole_seconds_and_paths_with_braces(tmp_path, monkeypatch, minutes, seconds):
    from papermill.parameterize import parameterize_path

    folder = tmp_path / "a {folder} of mine"
    folder.mkdir()
    monkeypatch.chdir(two_notebooks(folder))
    seen = {}

    def start(papermill, notebook, output, *, parameters, **options):
        seen.update(options, notebook=parameterize_path(notebook, parameters), task=os.environ[VARIABLE])
        Path(parameterize_path(output, parameters)).touch()

    monkeypatch.setattr("adautomix.plans.execute.start_and_run", start)
    task = plan_of(folder, {"a": {"notebook": "train", "timeout_minutes": minutes}}).tasks["a"]
    monkeypatch.delenv(VARIABLE, raising=False)
    assert execute(task).state == "done"
    assert seen["task"] == str(task.folder)
    assert not in_task()  # what the process does next is no task's
    assert seen["execution_timeout"] == seconds
    assert seen["notebook"] == str(folder / "notebooks" / "train.ipynb")
