"""While a plan runs on this machine: what does another shell see of it, and from where can its processes be reached?"""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.plans import OUTPUTS, RECORD, command, write_notebook, write_plan

from adautomix.plans.live import FOLDER, Live, live_text
from adautomix.utils.files import read_json, write_json

LISTEN = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1, as the kernel writes them."""
HOLD = "import os\npathlib.Path(outputs, 'seen', 'kernel').write_text(str(os.getpid()))\n"
HOLD += "while not pathlib.Path(outputs, 'seen', 'enough').exists():\n    time.sleep(0.1)"


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Return the folder of a plan that stands still in its first notebook, its process and the kernel's."""
    folder = tmp_path_factory.mktemp("held")
    write_notebook(folder, "hold", OUTPUTS, RECORD + HOLD)
    write_notebook(folder, "bad", OUTPUTS, "1 / 0")
    steps = {"hold": {"notebook": "hold"}, "bad": {"notebook": "bad"}, "after": {"notebook": "bad", "needs": "hold"}}
    write_plan(folder, steps)
    call = [sys.executable, "-m", "adautomix", "run", "tiny", "--workers", "2"]
    seen, failed = folder / "outputs/tiny/seen", folder / "outputs/tiny/tasks/bad/FAILED"
    with subprocess.Popen(call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            deadline = time.monotonic() + 300
            while not (failed.exists() and (seen / "kernel").exists() and (seen / "kernel").read_text()):
                assert run.poll() is None, run.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield folder, run.pid, int((seen / "kernel").read_text())
        finally:
            seen.mkdir(parents=True, exist_ok=True)
            (seen / "enough").touch()
            run.communicate(timeout=300)


@pytest.mark.slow
@pytest.mark.xdist_group("held")
def test_no_process_of_a_local_plan_is_reached_from_another_machine(held):
    _, plan, kernel = held
    processes = [plan, *(child.pid for child in psutil.Process(plan).children(recursive=True))]
    assert kernel in processes
    ours = {inode for pid in processes for inode in sockets_of(pid)}
    found = [(address, state) for address, state, inode in tcp_sockets() if inode in ours]
    assert [state for _, state in found].count(LISTEN) >= 3  # the scheduler and two workers at least
    assert {address for address, _ in found} <= LOOPBACK


def tcp_sockets():
    """Return local address, state and inode of every TCP socket of this machine."""
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(file).read_text().splitlines()[1:]:
            words = line.split()
            yield words[1].split(":")[0], words[3], words[9]


def sockets_of(pid):
    for fd in Path("/proc", str(pid), "fd").iterdir():
        try:
            target = os.readlink(fd)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


@pytest.mark.slow
@pytest.mark.xdist_group("held")
def test_another_shell_sees_what_runs_since_when_what_waits_and_what_failed(held):
    folder, plan, _ = held
    status = command(folder, "status", "tiny")
    lines = status.stdout.splitlines()
    assert lines[0].startswith("running  hold   since ")
    assert lines[1] == "failed   bad    cell 2 of bad.ipynb: ZeroDivisionError: division by zero"
    assert lines[2] == "waiting  after  for hold"
    assert lines[4].startswith(f"being run by process {plan} on ")
    assert lines[4].endswith(": 2 workers")
    assert lines[5] == "tiny: 1 running, 1 waiting, 1 failed"


def test_a_run_that_was_killed_is_told_from_one_that_goes_on(tmp_path):
    with Live(tmp_path, "one") as live:
        live.beat(2, "1 job waits in the queue (Resources)")
        assert live_text(tmp_path).endswith(": 2 workers, 1 job waits in the queue (Resources)")
        record = read_json(live.path)
    assert live_text(tmp_path) == ""
    silent = record | {"host": "elsewhere", "alive": "2020-01-01T00:00:00+00:00"}
    write_json(tmp_path / FOLDER / "two.json", silent)
    assert "no sign of it since 2020-01-01" in live_text(tmp_path)
    with Live(tmp_path, "three"):  # a new run tidies up
        assert len(list((tmp_path / FOLDER).iterdir())) == 1
