"""Published files of CIFAR-C: which images of theirs are given, and are broken ones named?"""

import numpy as np
import pytest
import torch
from helpers.corrupting import write_published

from adautomix.evaluate.corrupted_files import published
from adautomix.utils.errors import UserError

PUBLISHED = {"source": "published", "files": "CIFAR-10-C", "table": "cifar"}


@pytest.fixture
def files(tmp_path):
    """Return the folder of published files of four images, with their labels."""
    labels = torch.tensor([0, 1, 2, 1])
    write_published(tmp_path / "CIFAR-10-C", labels)
    return tmp_path / "CIFAR-10-C", labels


def test_published_files_give_the_severity_and_the_rows_asked_for(files):
    folder, labels = files
    rows = np.arange(20, dtype=np.uint8)
    np.save(folder / "snow.npy", np.broadcast_to(rows[:, None, None, None], (20, 32, 32, 3)))
    source = published(folder, labels, PUBLISHED)
    images = source(torch.zeros(2, 3, 32, 32), torch.tensor([3, 0]), "snow", 4)
    assert images.mul(255).round()[:, 0, 0, 0].tolist() == [15, 12]
    assert isinstance(source.opened["snow"], np.memmap)
    for severity in (0, 6):
        with pytest.raises(UserError, match=f"got {severity}"):
            source(images, torch.tensor([3, 0]), "snow", severity)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "fog.npy").unlink(), r"fog.npy cannot be read .*No such file.*3555552"),
        (lambda root: (root / "labels.npy").unlink(), r"labels.npy cannot be read"),
        (lambda root: (root / "fog.npy").write_bytes((root / "fog.npy").read_bytes()[:500]), "fog.npy cannot be read"),
        (lambda root: (root / "fog.npy").write_text("<html>"), "fog.npy cannot be read"),
        (lambda root: np.save(root / "fog.npy", np.zeros((16, 32, 32, 3), np.uint8)), r"got uint8 \(16, 32, 32, 3\)"),
        (lambda root: np.save(root / "fog.npy", np.zeros((20, 32, 32, 3))), "got float64"),
        (lambda root: np.save(root / "labels.npy", np.arange(20)), "in 17 of 20 places"),
        (lambda root: np.save(root / "labels.npy", np.tile([0, 1, 2, 2], 5)), "in 5 of 20 places"),
        (lambda root: np.save(root / "labels.npy", np.arange(16)), r"got int64 \(16,\)"),
    ],
)
def test_broken_files_are_named(files, spoil, message):
    folder, labels = files
    spoil(folder)
    with pytest.raises(UserError, match=message):
        published(folder, labels, PUBLISHED)(torch.zeros(1, 3, 32, 32), torch.tensor([0]), "fog", 3)
