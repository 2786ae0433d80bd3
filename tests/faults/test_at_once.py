"""The same command twice at once, and many notebooks at once: nothing clashes, nothing is done twice."""

import multiprocessing
import os
import re
import shlex
import socket
import time

import pytest
import torch
from helpers.faults import FULL, call, counted, times
from helpers.killed_plans import MarkedPlan
from helpers.kills import LIMIT
from helpers.plans import OUTPUTS, write_notebook, write_plan
from helpers.results import result_of
from helpers.scarce import in_child

from adautomix.evaluate import runs as evaluation
from adautomix.runs.run import Run, find_runs
from adautomix.utils.files import read_json

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
TRAIN = [
    "train",
    *shlex.split("--data photos --size 8 --per-class 4 --method mixup --width 4 --batch-size 8 --epochs 2"),
]
TRAIN += ["--device", "cpu", "--runs"]


def together(*actions):
    """Return what actions return that begin at the same moment, each in a fork of its own."""
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(len(actions))
    pipes = [context.Pipe(duplex=False) for _ in actions]

    def act(action, pipe):
        torch.set_num_threads(1)
        gate.wait(LIMIT)
        pipe.send(action())

    workers = [context.Process(target=act, args=(a, pipe)) for a, (_, pipe) in zip(actions, pipes, strict=True)]
    for worker in workers:
        worker.start()
    try:
        assert all(pipe.poll(LIMIT) for pipe, _ in pipes), "one hangs"
        return [pipe.recv() for pipe, _ in pipes]
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def test_of_two_trainings_of_one_run_at_once_one_trains_and_the_other_finds_it_trained(tmp_path):
    alone = in_child(lambda: call(*TRAIN, tmp_path / "alone").out)
    both = together(*[lambda: call(*TRAIN, tmp_path / "both")] * 2)
    assert [(answer.code, answer.err, answer.raised) for answer in both] == [(0, "", "")] * 2
    (run,), (expected,) = find_runs(tmp_path / "both"), find_runs(tmp_path / "alone")
    trained = [line for answer in both for line in answer.out.splitlines() if line.startswith("epoch ")]
    twice = len(trained) - alone.count("epoch ")
    counted(
        "two trainings of one run at once", 1, epochs_trained_twice=twice, same=result_of(run) == result_of(expected)
    )
    assert twice == 0
    assert sum("already trained" in answer.out for answer in both) == 1
    assert len(run.info["sessions"]) == 1
    assert result_of(run) == result_of(expected)
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_training_that_must_wait_too_long_says_who_has_the_run(tmp_path, monkeypatch):
    in_child(lambda: call(*TRAIN, tmp_path).out)
    (run,) = find_runs(tmp_path)
    (run.path / "DONE").unlink()  # one that is done needs no lock
    monkeypatch.setattr(Run.lock, "__defaults__", (0.1, None))
    with run.lock():
        answer = call(*TRAIN, tmp_path)
    assert answer.told, answer
    assert f"another process is training {run.path} (process {os.getpid()} on {socket.gethostname()}" in answer.err
    assert call(*TRAIN, tmp_path).code == 0


def test_of_two_evaluations_at_once_each_result_is_measured_once(tmp_path):
    in_child(lambda: call(*TRAIN, tmp_path).out)  # autograd may not have run where forks are to use it
    (run,) = find_runs(tmp_path)
    wanted = ["evaluate", run.path, "--device", "cpu", "--evaluators", "calibration", "fgsm"]
    both = together(*[lambda: call(*wanted)] * 2)
    assert [(answer.code, answer.err, answer.raised) for answer in both] == [(0, "", "")] * 2
    said = "".join(answer.out for answer in both)
    measured = re.findall(r"(\w+) of the (\w+): ", said)
    counted("two evaluations at once", 1, measured_twice=len(measured) - 4)
    assert sorted(measured) == [(n, role) for n in ("calibration", "fgsm") for role in ("student", "teacher")]
    assert evaluation.evaluate_run(run, ("calibration", "fgsm"), device="cpu", log=str)


NOTE = """\
import os, pathlib, time
folder = pathlib.Path(outputs, "seen")
folder.mkdir(parents=True, exist_ok=True)
with (folder / f"{number}").open("a") as file:
    file.write(f"{time.time()} ")
time.sleep(0.5)
with (folder / f"{number}").open("a") as file:
    file.write(f"{time.time()}\\n")
"""


def many(folder, count):
    write_notebook(folder, "note", OUTPUTS + "number: int = 0  # of the notebook", NOTE)
    write_notebook(folder, "after", OUTPUTS, "print(6 * 7)")
    steps = {"note": {"notebook": "note", "grid": {"number": list(range(count))}}}
    write_plan(folder, steps | {"after": {"notebook": "after", "needs": "note"}})
    return ["after", *sorted(f"note.number={number}" for number in range(count))]


def spans(folder):
    """Return when each notebook began and ended, for every time that it was run."""
    files = sorted((folder / "outputs" / "tiny" / "seen").iterdir())
    return [tuple(map(float, line.split())) for file in files for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_of_two_runs_of_a_plan_at_once_each_notebook_runs_once_and_both_end_well(tmp_path):
    count = times(4, 64)
    wanted = many(tmp_path, count)
    with MarkedPlan(tmp_path, workers=times(1, 8)) as plan:
        said = [tmp_path / "first", tmp_path / "second"]
        first = plan.start(said[0])
        live = tmp_path / "outputs" / "tiny" / ".runs"
        deadline = time.monotonic() + LIMIT
        while not list(live.glob("*.json")) and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert first.poll() is None, said[0].read_text()
        second = plan.start(said[1])
        codes = [command.wait(LIMIT) for command in (first, second)]
        words = [file.read_text() for file in said]
        survivors, left = plan.survivors(), plan.left_over()
    ran = spans(tmp_path)
    counted("two runs of a plan at once", count, ran_twice=len(ran) - count, failed=sum(map(bool, codes)))
    assert codes == [0, 0], words
    assert len(ran) == count, words
    assert plan.done() == wanted
    assert "this plan is being run by process" in words[1], words[1]
    assert (survivors, left) == ([], [])


@pytest.mark.skipif(not FULL, reason="64 workers want many GB of memory and minutes; make faults has it")
def test_64_notebooks_run_at_once(tmp_path):
    wanted = many(tmp_path, 64)
    with MarkedPlan(tmp_path, workers=64) as plan:
        code = plan.finish(tmp_path / "said", 4 * LIMIT)  # two cores start 64 workers and import torch 64 times
        left = plan.left_over()
    ran = spans(tmp_path)
    most = max(sum(began <= moment < ended for began, ended in ran) for moment, _ in ran)
    counted("64 notebooks with 64 workers", 64, at_once=most, failed=64 - len(ran), left_over=len(left))
    assert code == 0, (tmp_path / "said").read_text()
    assert len(ran) == 64
    assert plan.done() == wanted
    assert all(read_json(path) for path in tmp_path.rglob("DONE"))
    assert left == []
