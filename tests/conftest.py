"""Shared by all tests: shapes in signatures are checked, one thread, tiny networks and data."""

import os

from jaxtyping import install_import_hook

# Before anything imports them. Not the config: it checks its own types, with messages for users.
CHECKED = ("models", "methods", "data", "evaluate")
install_import_hook([f"adautomix.{name}" for name in CHECKED], "beartype.beartype")

import pytest

pytest.register_assert_rewrite("helpers")  # helpers that assert

import torch
from helpers.tiny import CLASSES, tiny_classifier

from adautomix.data.base import Dataset, MemorySplit
from adautomix.methods import METHODS, make_method
from adautomix.methods.context import Context

torch.set_num_threads(1)
# Most plans of the tests are of notebooks of a line or two: their kernels need no torch, which costs seconds a worker.
os.environ["ADAUTOMIX_PRELOAD"] = ""


@pytest.fixture
def student():
    return tiny_classifier()


@pytest.fixture(params=list(METHODS))
def any_method(request):
    """Every method in METHODS: a new one is picked up by itself. The fixture is its name."""
    return request.param


@pytest.fixture
def start():
    """Return (method, context) by name, always of the same student."""

    def make(name, seed=0, **options):
        student = tiny_classifier()
        torch.manual_seed(0)  # a generator's first weights
        return make_method(name, student, options), Context.start(student, steps=10, seed=seed)

    return make


@pytest.fixture
def tiny_dataset():
    rng = torch.Generator().manual_seed(2)

    def split(count):
        images = torch.randint(0, 256, (count, 3, 8, 8), generator=rng, dtype=torch.uint8)
        return MemorySplit(images, torch.arange(count) % CLASSES)

    return Dataset(
        name="tiny",
        label="tiny",
        classes=tuple("abcde"),
        train=split(40),
        test=split(20),
        size=8,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        pad=1,
        flip=True,
        fingerprint="tiny",
    )


@pytest.fixture
def tiny(monkeypatch, tiny_dataset):
    """Make the trainer see the tiny data set."""
    monkeypatch.setattr("adautomix.training.loop.dataset_for", lambda config: tiny_dataset)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """Return a workbook's folder in which a plan ran every notebook, and what it printed.

    For tests of the xdist group "notebooks" only: another process would run the plan once more.
    """
    from helpers.smoke import run_smoke_plan

    folder = tmp_path_factory.mktemp("workbook")
    return folder, run_smoke_plan(folder)
