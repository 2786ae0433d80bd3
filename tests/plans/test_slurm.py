"""A plan on a real SLURM of one node: what is told of its jobs' ends, and does a second run complete the first?"""

import inspect
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from helpers.plans import OUTPUTS, RECORD, command, done, write_notebook, write_plan
from helpers.slurm import NODE, ask, missing, one_node

from adautomix import TrainConfig
from adautomix.runs.checkpoint import load
from adautomix.runs.run import find_runs
from adautomix.training.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]
CONFIG = {"width": 4, "epochs": 4, "per_class": 10, "batch_size": 20, "device": "cpu"}
TRAIN = f"""\
import os, time
from pathlib import Path
from adautomix import TrainConfig
from adautomix.training.loop import train

reached = Path(outputs, "reached")
first = not reached.exists()

def log(line):
    if first and line.startswith("epoch   2"):
        reached.write_text(f"{{os.environ['SLURM_JOB_ID']}} {{os.getpid()}}")
        time.sleep(300)

train(TrainConfig(**{CONFIG}), Path(outputs, "runs"), log=log)
"""
"""A training that stands still in its second epoch, the first time."""
WAIT = "while not pathlib.Path(outputs, 'seen', 'enough').exists():\n    time.sleep(0.1)"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Return the environment in which `adautomix run --scheduler slurm` finds a SLURM and dask-jobqueue's file."""
    pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("slurm")
    with one_node(folder / "slurm") as env:
        yield env | jobqueue(folder)


@pytest.fixture
def with_blanks(tmp_path):
    """Return a folder as people name them."""
    folder = tmp_path / "my own work"
    folder.mkdir()
    return folder


def jobqueue(folder: Path, **settings) -> dict[str, str]:
    """Write jobqueue.yaml and return the variable that leads dask there."""
    size = {"cores": 1, "memory": "1GB", "walltime": "00:30:00", "queue": "main", "interface": "lo"}
    (folder / "dask").mkdir(exist_ok=True)
    (folder / "dask" / "jobqueue.yaml").write_text(yaml.safe_dump({"jobqueue": {"slurm": size | settings}}))
    return {"DASK_CONFIG": str(folder / "dask")}


class Started:
    """`adautomix run tiny --scheduler slurm`, while it runs; leaving it ends it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        call = [sys.executable, "-m", "adautomix", "run", "tiny", "--scheduler", "slurm", "--workers", "2"]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(call, cwd=folder, env=os.environ | env, stdout=out, stderr=err)

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def wait_for(self, there, seconds: float = 300) -> None:
        """Wait until something is so; the run must not end before."""
        deadline = time.monotonic() + seconds
        while not there():
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.1)

    @property
    def text(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def end(self) -> int:
        return self.process.wait(timeout=400)


def reached(folder: Path) -> tuple[str, int] | None:
    """Return job and process of the training that stands still, once it does."""
    file = folder / "outputs" / "tiny" / "reached"
    words = file.read_text().split() if file.exists() else []
    return (words[0], int(words[1])) if len(words) == 2 else None


def equals_an_undisturbed_run(folder: Path) -> bool:
    """Return whether the run that was cut off has the weights of one trained here and now, and was resumed."""
    (cut,) = find_runs(folder / "outputs" / "tiny")
    whole = train(TrainConfig(**CONFIG), folder / "whole", log=lambda line: None)
    a, b = load(cut.checkpoint)["student"], load(whole.checkpoint)["student"]
    return len(cut.info["sessions"]) == 2 and all(torch.equal(a[name], b[name]) for name in b)


@pytest.fixture(scope="module")
def walltime(slurm, tmp_path_factory):
    """Return the folder of a training whose job is given a walltime of a minute in mid-training, and its run.

    A minute is SLURM's smallest walltime, and the end is seen to every half minute: this goes on beside the first test.
    """
    folder = tmp_path_factory.mktemp("walltime")
    write_notebook(folder, "train", OUTPUTS, TRAIN)
    write_plan(folder, {"train": {"notebook": "train", "training": True}})
    with Started(folder, slurm) as started:
        started.wait_for(lambda: reached(folder))
        ask(slurm, "scontrol", "update", f"jobid={reached(folder)[0]}", "timelimit=1")
        yield folder, started


def test_a_job_that_is_cancelled_in_mid_training_on_a_node_that_is_drained(slurm, walltime, tmp_path):
    write_notebook(tmp_path, "train", OUTPUTS, TRAIN)
    write_notebook(tmp_path, "wait", OUTPUTS, RECORD + WAIT)
    write_notebook(tmp_path, "ok", OUTPUTS, "print(6 * 7)")
    write_notebook(tmp_path, "bad", OUTPUTS, "1 / 0")
    steps = {
        "train": {"notebook": "train", "training": True},
        "wait": {"notebook": "wait"},
        "bad": {"notebook": "bad"},
        "after": {"notebook": "ok", "needs": "train"},
        "apart": {"notebook": "ok"},
    }
    write_plan(tmp_path, steps)
    with Started(tmp_path, slurm) as run:
        run.wait_for(lambda: reached(tmp_path) and (tmp_path / "outputs" / "tiny" / "seen").exists())
        job, kernel = reached(tmp_path)
        status = command(tmp_path, "status", "tiny", **slurm).stdout
        ask(slurm, "scontrol", "update", f"nodename={NODE}", "state=drain", "reason=test")
        ask(slurm, "scancel", job)
        try:
            run.wait_for(lambda: "1 job waits in the queue" in run.text and "failed  train" in run.text)
            waiting = command(tmp_path, "status", "tiny", **slurm).stdout
        finally:
            ask(slurm, "scontrol", "update", f"nodename={NODE}", "state=resume")
        run.wait_for(lambda: "done    apart" in run.text)
        (tmp_path / "outputs" / "tiny" / "seen" / "enough").touch()
        assert run.end() == 1
    assert f"failed  train  its SLURM job {job} was cancelled (scancel); run the plan again" in run.text
    assert "1 job waits in the queue (Nodes required for job are DOWN, DRAINED" in run.text
    assert "failed  bad  cell 2 of bad.ipynb: ZeroDivisionError" in run.text
    assert "skipped after  skipped because of train" in run.text
    assert done(tmp_path) == ["apart", "wait"]
    assert run.text.count("Traceback") == 1  # the notebook's own
    assert run.err.read_text() == ""
    assert not psutil.pid_exists(kernel)
    assert "running  train" in status
    assert f"SLURM job {job}" in status
    assert "2 workers" in status
    assert "1 worker, 1 job waits in the queue (Nodes required" in waiting
    assert "failed   train  its SLURM job" in waiting

    write_notebook(tmp_path, "bad", OUTPUTS, "1 / 1")
    again = command(tmp_path, "run", "tiny", "--scheduler", "slurm", "--workers", "1", **slurm)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "tiny: 3 done, 2 kept" in again.stdout
    assert again.stderr == ""
    assert equals_an_undisturbed_run(tmp_path)


def test_a_task_gets_the_gpus_it_asks_for_and_too_many_are_refused_before_anything_starts(slurm, with_blanks):
    tmp_path = with_blanks
    write_notebook(tmp_path, "look", OUTPUTS, "import os\nprint('GPUs', os.environ['SLURM_GPUS_ON_NODE'])")
    write_plan(tmp_path, {"look": {"notebook": "look", "gpus": 2}})
    result = command(tmp_path, "run", "tiny", "--scheduler", "slurm", **slurm)
    assert result.returncode == 0, result.stdout + result.stderr
    tasks = tmp_path / "outputs" / "tiny" / "tasks"
    assert "GPUs 2" in (tasks / "look" / "notebook.ipynb").read_text()
    write_plan(tmp_path, {"more": {"notebook": "look", "gpus": 3}})
    result = command(tmp_path, "run", "tiny", "--scheduler", "slurm", **slurm)
    assert result.returncode == 2
    assert "SLURM refuses the jobs" in result.stderr
    assert "Requested node configuration is not available" in result.stderr
    assert "--gres=gpu:3" in result.stderr
    assert not (tasks / "more").exists()


def test_jobs_that_end_before_they_take_a_notebook_end_the_plan_with_what_they_printed(slurm, with_blanks):
    tmp_path = with_blanks
    write_notebook(tmp_path, "ok", OUTPUTS, "pass")
    write_plan(tmp_path, {"ok": {"notebook": "ok"}})
    env = slurm | jobqueue(tmp_path, **{"job-script-prologue": ["echo no such module >&2", "exit 3"]})
    result = command(tmp_path, "run", "tiny", "--scheduler", "slurm", "--workers", "2", **env)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "3 SLURM jobs ended before they could take a notebook" in result.stderr
    assert "FAILED, exit code 3:0" in result.stderr
    assert "no such module" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif("devices" not in inspect.signature(train).parameters, reason="this trainer knows one device only")
def test_srun_trains_one_run_in_two_processes(slurm, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        meet = f"127.0.0.1:{free.getsockname()[1]}"
    torchrun = ["torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    torchrun += ["--rdzv-id", "1", "--rdzv-endpoint", meet, "-m", "adautomix", "train"]
    flags = "--data digits --method mixup --epochs 2 --width 4 --per-class 10 --batch-size 20 --device cpu"
    srun = ["srun", "-n", "2", "--kill-on-bad-exit", "--mem=100M", sys.executable, "-m"]
    call = [*srun, *torchrun, *flags.split(), "--runs", str(tmp_path)]
    result = subprocess.run(call, env=os.environ | slurm, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = find_runs(tmp_path)
    assert [session["devices"] for session in run.info["sessions"]] == [2]


def test_a_walltime_that_ends_in_mid_training(slurm, walltime):
    folder, run = walltime
    assert run.end() == 1, run.text
    job, kernel = reached(folder)
    assert f"failed  train  its SLURM job {job} reached its walltime (00:01:00); run the plan again" in run.text
    assert run.err.read_text() == ""
    assert not psutil.pid_exists(kernel)
    again = command(folder, "run", "tiny", "--scheduler", "slurm", "--workers", "1", **slurm)
    assert again.returncode == 0, again.stdout + again.stderr
    assert equals_an_undisturbed_run(folder)
