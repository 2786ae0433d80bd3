"""A full disk, no inodes, a folder that is only read, few open files, no shared memory: a sentence, then it goes on.

Each runs in a child of its own, forked: limits die with it, and so do file systems that root mounts for it alone.
"""

import json
import os
import resource
import shlex
import subprocess
import sys

import pytest
import torch
from helpers import ROOT
from helpers.faults import FULL, call, counted, outcome, times
from helpers.plans import write_notebook, write_plan
from helpers.scarce import fill, in_child, libc, mount, mounts_work, relieve, use_up_inodes
from helpers.trees import write_tree

from adautomix.evaluate.corruption_source import keep
from adautomix.evaluate.corruptions import CORRUPTIONS15

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts and limits are Linux'")
SMALL = shlex.split("--method mixup --width 4 --batch-size 8 --epochs 2 --device cpu")
TRAIN = ["train", *shlex.split("--data photos --size 8 --per-class 4"), *SMALL]


@pytest.fixture(scope="module")
def may_mount(tmp_path_factory):
    try:
        in_child(mounts_work, tmp_path_factory.mktemp("mounted"))
    except AssertionError as error:
        pytest.skip(f"needs root to mount a small file system: {str(error).splitlines()[-1]}")


def files_of(folder):
    """Return the result of a run, by file, without times and sessions."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "history.csv":
            rows = [line.split(",") for line in path.read_text().splitlines()]
            drop = [i for i, name in enumerate(rows[0]) if name in ("seconds", "images_per_s")]
            found["history"] = [[cell for i, cell in enumerate(row) if i not in drop] for row in rows]
        if path.parent.name == "metrics" and path.suffix == ".json":
            found[path.name] = json.loads(path.read_text())["value"]
    return found


def trained_in(folder):
    answer = call(*TRAIN, "--runs", folder)
    assert answer.code == 0, answer
    return files_of(folder)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return in_child(lambda folder: trained_in(folder), tmp_path_factory.mktemp("untroubled") / "runs")


def short_of(scarce, folder, mounted):
    """Train where something is scarce, then where it no longer is; return what was said and what came out."""
    place, end = scarce(folder, mounted)
    answer = call(*TRAIN, "--runs", place)
    half = [str(path) for path in place.rglob("*") if path.name == "DONE" or ".tmp" in path.name]
    end()
    again = call(*TRAIN, "--runs", place)
    return {
        "told": answer.told or answer.code == 0,  # it may do with what there is
        "said": answer.err + answer.raised,
        "half": half,
        "again": again.code,
        "why": again.err + again.raised,
        "files": files_of(place),
    }


def full_disk(folder, mounted):
    mount(mounted, "size=8m")
    fill(mounted, leave=3 * 2**15)
    return mounted, lambda: relieve(mounted)


def full_before_the_last_file(folder, mounted):
    """Room for a config, not for a checkpoint."""
    mount(mounted, "size=8m")
    fill(mounted, leave=2**16)
    return mounted, lambda: relieve(mounted)


def no_room_at_all(folder, mounted):
    mount(mounted, "size=8m")
    fill(mounted)
    return mounted, lambda: relieve(mounted)


def no_inodes(folder, mounted):
    mount(mounted, "size=8m,nr_inodes=40")
    use_up_inodes(mounted)
    return mounted, lambda: relieve(mounted)


def only_read(folder, mounted):
    mount(mounted, "size=8m", flags=1)
    return mounted, lambda: libc("mount", b"none", str(mounted).encode(), b"tmpfs", 32, b"size=8m")  # MS_REMOUNT


def small_files(folder, mounted):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    return folder / "runs", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def few_open_files(folder, mounted):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = max(int(name) for name in os.listdir("/proc/self/fd")) + 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (least, limit[1]))
    return folder / "runs", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def a_file_in_the_way(folder, mounted):
    (folder / "runs").write_text("no folder")
    return folder / "runs", (folder / "runs").unlink


MOUNTED = (full_before_the_last_file, full_disk, no_room_at_all, no_inodes, only_read)
SCARCE = (full_before_the_last_file, small_files, full_disk, no_room_at_all, no_inodes, only_read)
SCARCE += (few_open_files, a_file_in_the_way)


@pytest.mark.parametrize("scarce", SCARCE[: times(2, len(SCARCE))], ids=lambda f: f.__name__)
def test_training_without_room_is_told_and_goes_on_to_the_same_result(scarce, tmp_path, expected, request):
    if scarce in MOUNTED:
        request.getfixturevalue("may_mount")
    (tmp_path / "mounted").mkdir()
    found = in_child(short_of, scarce, tmp_path, tmp_path / "mounted")
    counted(
        f"training, {scarce.__name__.replace('_', ' ')}",
        1,
        told=int(found["told"]),
        same_result_after=int(found["files"] == expected),
    )
    assert found["told"], found["said"]
    assert found["half"] == []
    assert found["again"] == 0, found["why"]
    assert found["files"] == expected


def evaluated(folder):
    mount(folder, "size=8m")
    assert call(*TRAIN, "--runs", folder / "runs").code == 0
    asked = ["evaluate", folder / "runs", "--evaluators", "accuracy", "calibration", "--device", "cpu", "--force"]
    whole = call(*asked).code
    before = files_of(folder)
    for path in folder.rglob("calibration.*.json"):
        path.unlink()
    fill(folder)
    short = call(*asked)
    relieve(folder)
    half = [str(path) for path in folder.rglob("*.tmp")]
    again = call(*asked)
    return [whole, short.told, half, again.code, files_of(folder) == before, short.err + short.raised]


def test_evaluating_on_a_full_disk_is_told_and_goes_on(may_mount, tmp_path):
    *found, said = in_child(evaluated, tmp_path)
    counted("evaluation, full disk", 1, told=int(found[1]), same_result_after=int(found[4]))
    assert found == [0, True, [], 0, True], said


def corrupted(folder):
    from adautomix.evaluate import corruption_source

    corruption_source.ALL19 = CORRUPTIONS15[:3]
    x = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def made(place):
        batches = [(x, torch.zeros(40), torch.arange(40))]
        source = keep(place, batches, of={"images": 40, "fingerprint": "x"}, settings={"table": "cifar"})
        return [source(x, torch.arange(40), name, 5).sum().item() for name in CORRUPTIONS15[:3]]

    whole = made(folder.parent / "whole")
    mount(folder, "size=8m")
    fill(folder, leave=240_000)  # one of three files fits
    state, said = outcome(lambda: made(folder / "set"))
    half = sorted(path.name for path in (folder / "set").iterdir())
    relieve(folder)
    return [state, half, made(folder / "set") == whole, said]


def test_corrupted_images_on_a_full_disk_are_told_and_go_on(may_mount, tmp_path):
    (tmp_path / "small").mkdir()
    *found, said = in_child(corrupted, tmp_path / "small")
    counted("corrupted images, full disk", 1, told=int(found[0] == "told"), same_result_after=int(found[2]))
    assert found == ["told", [".lock", f"{CORRUPTIONS15[0]}.npy", "manifest.json"], True], said


def without_shared_memory(folder, scarce):
    end = {"read only": lambda: mount("/dev/shm", "size=1m", 1), "tiny": lambda: mount("/dev/shm", "size=64k")}
    relieved = few_open_files(folder, None)[1] if scarce == "few open files" else end[scarce]()
    streamed = ["train", "--data", "folder", "--root", folder / "images", "--size", "72", *SMALL]
    answer = call(*streamed, "--runs", folder / "runs", "--workers", "2")
    done = [path.name for path in folder.rglob("DONE")]
    if scarce == "few open files":
        relieved()
    again = call(*streamed, "--runs", folder / "runs", "--workers", "0")
    return [answer.code, answer.told, done, again.code, answer.err + answer.raised + again.err + again.raised]


@pytest.mark.parametrize("scarce", ["tiny", "read only", "few open files"][: times(1, 3)])
def test_streaming_without_shared_memory_is_told_and_goes_on_without_workers(may_mount, tmp_path, scarce):
    write_tree("folder", tmp_path / "images", classes=2, train=8, test=4)
    code, told, done, again, said = in_child(without_shared_memory, tmp_path, scarce)
    counted(f"streaming, shared memory {scarce}", 1, told_or_done=int(told or code == 0), goes_on=int(again == 0))
    assert code == 0 or (told and "--workers 0" in said), said
    assert code == 0 or done == []
    assert again == 0, said


SCRIPT = """
mount -t tmpfs -o size=4m none outputs
fill() { head -c 8m /dev/zero > outputs/ballast 2> /dev/null; }
fill; $RUN run tiny --workers 1; echo "first $?"; find outputs -name DONE
rm outputs/ballast; $RUN run tiny --workers 1; echo "again $?"
fill; $RUN book tiny; echo "book $?"; find outputs -path '*site/index.html'
"""


@pytest.mark.skipif(not FULL, reason="starts a cluster; make faults has it")
def test_a_plan_and_its_site_on_a_full_disk_are_told_and_the_plan_goes_on(may_mount, tmp_path):
    write_notebook(tmp_path, "ok", 'outputs: str = "x"  # where', "print(1)")
    write_plan(tmp_path, {"a": {"notebook": "ok"}})
    (tmp_path / "outputs").mkdir()
    environment = os.environ | {"RUN": f"{sys.executable} -m adautomix", "PYTHONPATH": str(ROOT)}
    shell = ["unshare", "--mount", "sh", "-c", SCRIPT]
    ended = subprocess.run(
        shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    said = ended.stdout + ended.stderr
    codes = dict(line.split() for line in said.splitlines() if line.startswith(("first ", "again ", "book ")))
    counted("plan and site, full disk", 2, told=int(codes["first"] in "12") + int(codes["book"] in "12"))
    assert codes["first"] in "12", said
    assert codes["again"] == "0", said
    assert codes["book"] in "12", said
    assert "Traceback" not in ended.stderr, said
    assert "outputs/tasks/a/DONE" not in said.partition("first")[2].partition("again")[0], said
    assert "index.html" not in said.rpartition("book")[2], said
