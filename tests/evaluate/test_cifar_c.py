"""The published CIFAR-C files: is the severity asked for read, and what is broken named?"""

import numpy as np
import pytest

from adautomix.evaluate.corruptions import CORRUPTIONS15, load_cifar_c
from adautomix.utils.errors import UserError


@pytest.fixture
def cifar_c(tmp_path):
    """Return a folder in the published form with 4 images a severity, each image filled with its row's number."""
    rows = np.arange(20, dtype=np.uint8)
    for name in CORRUPTIONS15:
        np.save(tmp_path / f"{name}.npy", np.broadcast_to(rows[:, None, None, None], (20, 32, 32, 3)))
    np.save(tmp_path / "labels.npy", np.tile(np.array([3, 1, 4, 1], dtype=np.uint8), 5))
    return tmp_path


def test_published_files_give_the_severity_asked_for(cifar_c):
    x, y = load_cifar_c(cifar_c, "fog", 3, labels=np.array([3, 1, 4, 1]), expect=4)
    assert x[:, 0, 0, 0].tolist() == [8, 9, 10, 11]
    assert isinstance(x, np.memmap)
    assert x.shape == (4, 32, 32, 3)
    assert y.dtype == np.int64
    assert y.tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "fog.npy").unlink(), r"fog.npy: expected .*\(20, 32, 32, 3\).*3555552.*corrupt"),
        (lambda root: (root / "labels.npy").unlink(), r"labels.npy: expected .*no such file"),
        (lambda root: (root / "fog.npy").write_bytes((root / "fog.npy").read_bytes()[:500]), "cannot be read"),
        (lambda root: (root / "fog.npy").write_text("<html>"), "cannot be read"),
        (lambda root: np.save(root / "fog.npy", np.zeros((16, 32, 32, 3), np.uint8)), r"got uint8 \(16, 32, 32, 3\)"),
        (lambda root: np.save(root / "fog.npy", np.zeros((20, 32, 32, 3))), "got float64"),
        (lambda root: np.save(root / "labels.npy", np.arange(20)), "repeat"),
        (lambda root: np.save(root / "labels.npy", np.tile([3, 1, 4, 2], 5)), "in 1 of 4 places"),
    ],
)
def test_broken_files_are_named(cifar_c, spoil, message):
    spoil(cifar_c)
    with pytest.raises(UserError, match=message):
        load_cifar_c(cifar_c, "fog", 3, labels=np.array([3, 1, 4, 1]), expect=4)
