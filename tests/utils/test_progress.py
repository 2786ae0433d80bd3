"""Progress bars: for those who watch, and for nobody else."""

import io
import sys

from ipykernel.kernelapp import IPKernelApp

import adautomix.utils.progress as bars
from adautomix.utils.task import VARIABLE


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_is_watched_unless_a_plan_runs_the_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.delenv(VARIABLE, raising=False)
    assert bars.watched()
    monkeypatch.setenv(VARIABLE, "somewhere")
    assert not bars.watched()


def test_a_notebook_in_jupyterlab_is_watched_and_a_process_that_only_starts_kernels_is_not(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(IPKernelApp, "_instance", None)  # imported, as in a plan's process
    assert not bars.watched()
    monkeypatch.setattr(IPKernelApp, "_instance", object())
    assert bars.watched()


def test_a_log_file_gets_no_bar_and_all_the_items(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(bars, "DELAY", 0.0)
    assert list(bars.progress(range(3), total=3, name="x", unit="step")) == [0, 1, 2]
    assert sys.stderr.getvalue() == ""


def test_a_watcher_sees_what_is_done(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(bars, "DELAY", 0.0)
    assert list(bars.progress(range(3), total=3, name="corrupting", unit="step")) == [0, 1, 2]
    assert "corrupting" in sys.stderr.getvalue()
