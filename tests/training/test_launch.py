"""Starting several devices: does the caller hear of one error, keep its signals, and leave nothing behind?"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from helpers.ranks import on_ranks

from adautomix.config import OptimConfig, TrainConfig
from adautomix.training.agent import EXITS, STORE, follow_parent
from adautomix.training.launch import failure, launch, pass_on
from adautomix.training.loop import train
from adautomix.training.ranks import connected
from adautomix.training.worker import note
from adautomix.utils.errors import LostRank, RankError, UserError
from adautomix.utils.files import write_json

linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks for processes and ports as Linux has them")


def config(**changes):
    base = {"method": "mixup", "width": 4, "per_class": 8, "batch_size": 20, "epochs": 6, "device": "cpu"}
    return TrainConfig(**base | {"optim": {"student": OptimConfig(lr=0.05)}} | changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where runs and what processes leave for one another lie: who is ours is known by it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the agent, and of torch's launcher in it
    return tmp_path


def processes(folder: Path) -> dict[int, str]:
    """Return agents and ranks that run now for what lies in a folder, and each one's rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (path / "cmdline").read_bytes():
                variables = dict(v.split("=", 1) for v in (path / "environ").read_text().split("\0") if "=" in v)
                found[int(path.name)] = variables.get("RANK", "agent")
        except OSError:  # gone meanwhile
            continue
    return found


def listening(pid: int) -> set[str]:
    """Return the addresses on which a process listens, in hexadecimal."""
    links = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").glob("*") if fd.is_symlink()}
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    rows = [r.split() for f in ("tcp", "tcp6") for r in Path(f"/proc/net/{f}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


@linux
@pytest.mark.slow
def test_a_killed_rank_is_named_and_all_go_on_from_the_checkpoint_by_themselves(folder):
    lines, addresses = [], set()

    def log(line):
        lines.append(line)
        if line.startswith("epoch") and not addresses:
            ours = {rank: pid for pid, rank in processes(folder).items()}
            addresses.update(*map(listening, ours.values()))
            os.kill(ours["1"], signal.SIGKILL)

    run = train(config(), folder, devices=2, max_restarts=1, log=log)
    assert run.done
    assert lines[1].startswith("epoch   1/6")
    (killed,) = [i for i, line in enumerate(lines) if "rank 1 of the run was killed by SIGKILL" in line]
    assert "all start again, 1 of 1 times" in lines[killed]
    assert "goes on after epoch" in lines[killed + 1]
    assert [s["devices"] for s in run.info["sessions"]] == [2, 2]
    assert addresses == {"0100007F"}  # 127.0.0.1
    assert processes(folder) == {}


@linux
@pytest.mark.slow
def test_an_interrupt_ends_all_processes_and_leaves_the_callers_signals_alone(folder):
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    def interrupt(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config(), folder, devices=2, log=interrupt)
    assert processes(folder) == {}
    assert not [*folder.glob("adautomix-*"), *folder.glob("torchelastic*")]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers


@linux
@pytest.mark.slow
def test_a_command_that_is_killed_at_once_leaves_neither_an_agent_nor_its_folder(folder):
    """Before the agent could ask who started it, or torch's launcher could clean up."""
    own = folder / "adautomix-own"
    own.mkdir()
    script = f"""
import os
from pathlib import Path
from adautomix.training.launch import start_agent
from adautomix.utils.files import write_json
own = Path({str(own)!r})
write_json(own / "task.json", {{}})
start_agent(own, 2, (own / "noise").open("w"))
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    deadline = time.monotonic() + 120
    while processes(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes(folder) == {}
    assert not own.exists()


def test_ranks_that_torchrun_started_find_each_other_by_its_variables():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def act():
        del os.environ[STORE]
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        with connected("cpu") as ranks:
            return ranks.gathered(ranks.rank), ranks.told(ranks.rank, by=1), ranks.here

    assert on_ranks(2, act) == [([0, 1], 1, 2), (None, 1, 2)]


def test_torchrun_and_devices_must_agree(tmp_path):
    for error in on_ranks(2, lambda: train(config(), tmp_path, devices=3)):
        assert isinstance(error, UserError)
        assert "torchrun started 2 processes, but 3 devices were asked for" in str(error)


def left(folder, exits=(), **errors):
    """Return what the caller is told when ranks left these errors and exit codes."""
    for rank, error in errors.items():
        note(folder, int(rank[1:]), error)
    if exits:
        write_json(folder / EXITS, dict(exits))
    (folder / "noise").write_text("a library's last words\n")
    return failure(folder, 1)


LOST = LostRank("rank 0: the connection to another rank broke")


@pytest.mark.parametrize(
    ("exits", "errors", "kind", "message"),
    [
        (
            {0: -15, 1: -9},
            {"r0": LOST},
            RankError,
            "rank 1 of the run was killed by SIGKILL (the system does that when",
        ),
        ({0: 1, 1: -15, 2: -11}, {"r0": LOST}, RankError, "rank 2 of the run was killed by SIGSEGV; the same command"),
        ({0: 1, 1: 1}, {"r0": LOST, "r1": UserError("a.jpg is damaged")}, UserError, "rank 1: a.jpg is damaged"),
        ({0: 1, 1: 1}, {"r0": LOST, "r1": FileNotFoundError(2, "No such file", "a.jpg")}, OSError, "rank 1: [Errno 2]"),
        ({1: 1}, {"r1": FloatingPointError("on rank 0")}, FloatingPointError, "on rank 0"),
        ({0: 1}, {"r0": RankError("rank 1 no longer")}, RankError, "rank 1 no longer"),
        ({0: -15, 1: 1}, {"r1": KeyError("bug")}, RankError, "rank 1 of the run failed:\nKeyError: 'bug'"),
        ({0: 3}, {}, RankError, "rank 0 of the run ended with code 3\n    a library's last words"),
        ({}, {}, RankError, "torch's launcher ended with code 1\n    a library's last words"),
    ],
)
def test_of_all_that_failed_the_caller_hears_of_the_first(tmp_path, exits, errors, kind, message):
    error = left(tmp_path, exits, **errors)
    assert type(error) is kind
    assert str(error).startswith(message)


@pytest.mark.parametrize(("error", "starts"), [(RankError("rank 1 was killed"), 3), (UserError("no images"), 1)])
def test_only_what_may_not_happen_again_is_tried_again(tmp_path, monkeypatch, error, starts):
    tried, lines = [], []
    monkeypatch.setattr("adautomix.training.launch.attempt", lambda *args: tried.append(args) or error)
    with pytest.raises(type(error), match=str(error)):
        launch(config(), tmp_path, devices=2, max_restarts=2, log=lines.append)
    assert len(tried) == starts
    assert len(lines) == starts - 1


def test_lines_are_passed_on_when_they_are_whole(tmp_path):
    seen, path = [], tmp_path / "lines"
    path.touch()
    with path.open("a") as written, path.open() as read:
        for text in ("one\ntw", "o\n", "three\n"):
            written.write(text)
            written.flush()
            pass_on(read, seen.append)
            seen.append("|")
    assert seen == ["one", "|", "two", "|", "three", "|"]


def test_a_process_whose_parent_is_killed_ends_by_itself(tmp_path):
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            follow_parent(lambda: ((tmp_path / "ended").touch(), os._exit(0)))
            (tmp_path / "begun").touch()
            time.sleep(60)
        time.sleep(60)
        sys.exit()
    wait_for(tmp_path / "begun")
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_for(tmp_path / "ended")


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
