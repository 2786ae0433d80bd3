"""Order: which task starts next, and what follows when one fails or does not start?"""

import os

import pytest
from helpers.plans import plan_of, two_notebooks

import adautomix.plans.execute as execute_module
from adautomix.plans.cluster import connect
from adautomix.plans.execute import Outcome, TaskFailed, execute
from adautomix.plans.orchestrate import _skipped, _slots, _startable, default_workers
from adautomix.utils.errors import UserError


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


def test_tasks_start_in_order_when_needs_are_done_and_workers_free(workbook):
    steps = {
        "a": {"notebook": "train", "grid": {"epochs": [1, 2, 3]}},
        "b": {"notebook": "train", "needs": "a"},
        "c": {"notebook": "table"},
    }
    waiting = dict(plan_of(workbook, steps).tasks)
    ids = list(waiting)
    two, four = [False, False], [False] * 4
    assert [t.id for t in _startable(waiting, {}, two)] == ["a.epochs=1", "a.epochs=2"]
    assert [t.id for t in _startable(waiting, {}, four)] == ["a.epochs=1", "a.epochs=2", "a.epochs=3", "c"]
    running = {name: waiting.pop(name) for name in ids[:3]}
    assert [t.id for t in _startable(waiting, running, four)] == ["c"]  # b waits for all of a
    assert _startable(waiting, running, [False] * 3) == []
    assert _startable(waiting, running, [False]) == []  # workers that went away take their notebooks' places with them
    assert [t.id for t in _startable(waiting, {}, two)] == ["c", "b"]


def test_a_gpu_task_waits_for_a_gpu_and_others_pass_it(workbook):
    steps = {"a": {"notebook": "train", "gpu": True, "grid": {"epochs": [1, 2]}}, "c": {"notebook": "table"}}
    waiting = dict(plan_of(workbook, steps).tasks)
    assert [t.id for t in _startable(waiting, {}, [True, False])] == ["a.epochs=1", "c"]
    assert [t.id for t in _startable(waiting, {}, [False, False])] == ["a.epochs=1", "a.epochs=2"]  # none anywhere


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
    (task.folder / ".started").write_text("this run")
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
        execute_module._start_and_run(papermill)
        assert papermill.calls == failures + 1
    else:
        with pytest.raises(RuntimeError):
            execute_module._start_and_run(papermill)
        assert papermill.calls == 3


def test_small_runs_share_a_gpu(workbook, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")  # need not exist: nothing computes on it
    assert (default_workers(), default_workers(3)) == (1, 3)
    steps = {"a": {"notebook": "train", "gpu": True, "grid": {"epochs": [1, 2, 3]}}, "c": {"notebook": "table"}}
    plan = plan_of(workbook, steps, gpu_share=2)
    with connect(3, None, plan.gpu_share) as client:
        assert sorted(_slots(client)) == [False, True, True]
        assert set(client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"]).values()) == {"7"}
        assert [t.id for t in _startable(dict(plan.tasks), {}, _slots(client))] == ["a.epochs=1", "a.epochs=2", "c"]


def test_slurm_gives_every_job_gpus_of_its_own():
    with pytest.raises(UserError, match="gpu_share is of this machine's GPUs"), connect(2, "slurm", 2):
        pass


@pytest.mark.parametrize("share", [0, True, "two"])
def test_a_share_of_a_gpu_is_a_whole_number(workbook, share):
    with pytest.raises(UserError, match=f"gpu_share must be a whole number, 1 or more, got {share!r}"):
        plan_of(workbook, {"a": {"notebook": "train"}}, gpu_share=share)
