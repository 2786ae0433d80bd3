"""Where corrupted test images come from: made, kept or published, they are the same pixels under the same labels."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import adautomix.evaluate.corruption_source as chosen
import adautomix.evaluate.corruptions.sources as sources
from adautomix.data.loader import eval_loader
from adautomix.evaluate.corrupted import evaluate
from adautomix.evaluate.corruption_source import corruption_source
from adautomix.evaluate.corruptions import CORRUPTIONS15, CORRUPTIONS_EXTRA4, corrupt
from adautomix.evaluate.corruptions.sources import Made, keep, published
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")
ALL = CORRUPTIONS15 + CORRUPTIONS_EXTRA4
OF = {"data": "tiny", "fingerprint": "0123"}


@pytest.fixture
def batches(tiny_dataset):
    return eval_loader(tiny_dataset, 8, device=CPU)


@pytest.fixture
def kept(tmp_path, batches):
    return keep(tmp_path / "set", batches, of=OF, table="cifar")


@pytest.mark.parametrize("name", ["gaussian_noise", "glass_blur", "frost", "jpeg_compression", "spatter"])
def test_a_kept_set_gives_the_pixels_that_would_be_made(kept, batches, name):
    for x, _, index in batches:
        for severity in (1, 5):
            wanted = corrupt(x, name, severity, table="cifar", seed=0, index=index)
            assert torch.equal(kept(x, index, name, severity), wanted)
            assert torch.equal(Made()(x, index, name, severity), wanted)


def test_a_kept_set_serves_any_batch_in_any_order(kept, batches):
    x, _, index = next(iter(batches))
    backwards = kept(x.flip(0), index.flip(0), "fog", 3)
    assert torch.equal(backwards.flip(0), kept(x, index, "fog", 3))


def test_a_kept_set_is_made_once_and_what_is_missing_is_added(tmp_path, batches, kept, monkeypatch):
    made = []
    monkeypatch.setattr(sources, "corrupt", lambda x, name, *a, **k: made.append(name) or corrupt(x, name, *a, **k))
    keep(tmp_path / "set", batches, of=OF, table="cifar")
    assert not made
    (tmp_path / "set" / "snow.npy").unlink()
    keep(tmp_path / "set", batches, of=OF, table="cifar")
    assert set(made) == {"snow"}


def test_the_manifest_tells_what_was_made_and_the_files_have_the_published_layout(tmp_path, kept, tiny_dataset):
    folder = tmp_path / "set"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {k: manifest[k] for k in ("data", "table", "seed", "version")} == {
        "data": "tiny",
        "table": "cifar",
        "seed": 0,
        "version": sources.VERSION,
    }
    assert set(manifest["sha256"]) == set(ALL)
    assert all(len(digits) == 64 for digits in manifest["sha256"].values())
    images = np.load(folder / "contrast.npy")
    side, count = tiny_dataset.size, len(tiny_dataset.test)
    assert images.dtype == np.uint8
    assert images.shape == (5 * count, side, side, 3)
    assert not any(".tmp" in path.name for path in folder.iterdir())


def test_a_set_of_other_images_is_refused(tmp_path, kept, batches):
    with pytest.raises(UserError, match=r"another kind, see its manifest.json; delete the folder"):
        keep(tmp_path / "set", batches, of=OF | {"fingerprint": "4567"}, table="cifar")


def test_an_unreadable_file_is_named(tmp_path, kept, batches):
    (tmp_path / "set" / "snow.npy").write_bytes(b"half")
    x, _, index = next(iter(batches))
    with pytest.raises(UserError, match=r"snow.npy cannot be read .*it is made anew"):
        kept(x, index, "snow", 1)


def write_published(folder, labels, side=32):
    """Write files laid out like CIFAR-10-C: rows of one severity are all of one grey, 10 times the severity."""
    folder.mkdir()
    grey = np.repeat(np.arange(1, 6, dtype=np.uint8) * 10, len(labels))
    for name in ALL:
        np.save(folder / f"{name}.npy", np.broadcast_to(grey[:, None, None, None], (len(grey), side, side, 3)))
    np.save(folder / "labels.npy", np.tile(labels.numpy(), 5))


def test_published_files_are_read_and_their_labels_must_fit(tmp_path):
    labels = torch.tensor([0, 1, 2, 1])
    write_published(tmp_path / "CIFAR-10-C", labels)
    source = published(tmp_path / "CIFAR-10-C", labels)
    images = source(torch.zeros(2, 3, 32, 32), torch.tensor([3, 0]), "snow", 4)
    torch.testing.assert_close(images, torch.full((2, 3, 32, 32), 40 / 255))
    assert source.settings == {"source": "published", "files": "CIFAR-10-C", "table": "cifar"}
    with pytest.raises(UserError, match="differs from the clean labels in 1 of 4"):
        published(tmp_path / "CIFAR-10-C", torch.tensor([0, 1, 2, 2]))
    with pytest.raises(UserError, match=r"Zenodo records .*CIFAR-10-C"):
        published(tmp_path / "nowhere", labels)


def test_published_files_are_preferred_where_they_lie(tmp_path, tiny_dataset, monkeypatch):
    monkeypatch.setattr(chosen, "in_workbook", lambda path: tmp_path / path)
    cifar = replace(tiny_dataset, name="cifar10")
    assert corruption_source(cifar, tmp_path / "runs", CPU).settings["source"] == "regenerated"
    write_published(tmp_path / "files", cifar.test.labels)
    (tmp_path / "data").mkdir()
    (tmp_path / "files").rename(tmp_path / "data" / "CIFAR-10-C")
    assert corruption_source(cifar, tmp_path / "runs", CPU).settings["source"] == "published"
    assert corruption_source(tiny_dataset, tmp_path / "runs", CPU).settings["source"] == "regenerated"


def test_large_images_are_made_as_needed_and_not_kept(tmp_path, tiny_dataset):
    source = corruption_source(replace(tiny_dataset, size=224), tmp_path, CPU)
    assert source == Made()
    assert not any(tmp_path.iterdir())


def test_the_result_says_where_the_images_came_from(student, kept, batches):
    result = evaluate(student.eval(), batches, source=kept)
    assert result["settings"]["files"] == "set"
    assert result["value"] == evaluate(student, batches)["value"]
    assert "ImageMagick" in result["protocol"]
