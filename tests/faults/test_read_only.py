"""A disk that is only read, an archive or a colleague's: what only looks at results works there."""

import os
import shlex
import sys

import pytest
from helpers.faults import call
from helpers.plans import OUTPUTS, write_notebook, write_plan
from helpers.scarce import in_child, libc, mount, mounts_work
from helpers.trees import any_checksum, cifar_tree
from torchvision import datasets

from adautomix.data import load_dataset
from adautomix.plans.in_hand import LOCK
from adautomix.plans.last_run import remember
from adautomix.plans.tasks import load_plan
from adautomix.utils.files import write_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts are Linux'")
TRAIN = shlex.split("train --method mixup --width 4 --per-class 4 --batch-size 8 --epochs 1 --device cpu --runs")
REMOUNT_READ_ONLY = 32 | 1


@pytest.fixture(autouse=True)
def may_mount(tmp_path_factory):
    try:
        in_child(mounts_work, tmp_path_factory.mktemp("mounted"))
    except AssertionError as error:
        pytest.skip(f"needs root to mount a small file system: {str(error).splitlines()[-1]}")


def read_only(folder, make):
    """Mount a disk at the folder where `make()` works before it becomes one that is only read."""
    mount(folder, "size=20m")
    os.chdir(folder)
    make()
    libc("mount", b"none", str(folder).encode(), None, REMOUNT_READ_ONLY, b"")


def look_again(folder, make, *commands):
    """Return code and output of commands on such a disk."""
    read_only(folder, make)
    return [(answer.code, answer.out + answer.err + answer.raised) for answer in (call(*c) for c in commands)]


def test_a_finished_plan_is_shown_and_kept(tmp_path):
    def make():
        write_notebook(tmp_path, "ok", OUTPUTS, "pass")
        write_plan(tmp_path, {"ok": {"notebook": "ok"}})
        plan = load_plan("tiny")
        (task,) = plan.tasks.values()
        write_json(task.folder / "DONE", {"key": task.key, "run": "1", "upstream": {}, "seconds": 1})
        (task.folder / LOCK).touch()
        remember(plan)

    status, run = in_child(look_again, tmp_path, make, ["status", "tiny"], ["run", "tiny"])
    assert (status[0], run[0]) == (0, 0), [status, run]
    assert status[1].startswith("done     ok  1.0 s")
    assert "tiny: 1 kept" in run[1]


def test_a_run_that_is_trained_is_found(tmp_path):
    train = [*TRAIN, tmp_path]
    ((code, told),) = in_child(look_again, tmp_path, lambda: call(*train), train)
    assert code == 0, told
    assert "already trained" in told


def images_read(folder):
    read_only(folder, lambda: cifar_tree(folder, datasets.CIFAR10, "labels"))
    with any_checksum():
        return len(load_dataset("cifar10", root=folder).train)


def test_cifar_is_read(tmp_path):
    assert in_child(images_read, tmp_path) == 100
