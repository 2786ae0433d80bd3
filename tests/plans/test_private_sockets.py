"""Folders for kernels' sockets: which does a worker remove that others left behind?"""

import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest

from adautomix.plans import private_kernels

GONE = 2**22 + 1
"""Above the largest process number."""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_those_of_another_container_that_shares_the_folder_are_left_alone(monkeypatch):
    made = []
    for machine in ("ours", "another"):
        monkeypatch.setattr(private_kernels, "machine", lambda machine=machine: machine)
        monkeypatch.setattr("os.getpid", lambda: GONE)
        made.append(Path(mkdtemp(**private_kernels._named())))
    try:
        private_kernels.sweep()
        assert [folder.exists() for folder in made] == [True, False]
        assert all(len(str(folder / "kernel.json")) < 60 for folder in made)
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
