"""Accuracy on corrupted images: what is averaged, and do made, kept and published images belong to their labels?"""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.corrupting import write_published

import adautomix.evaluate.corruption_source as sources
from adautomix.data.loader import eval_loader
from adautomix.evaluate.corrupted import corruption_table, evaluate, mean_accuracy
from adautomix.evaluate.corrupted_files import Stored, checksum
from adautomix.evaluate.corruption_source import MadeOnDemand, corruption_source, keep, source_settings
from adautomix.evaluate.corruptions import ALL19, CORRUPTIONS15, corrupt
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")
OF = {"data": "tiny", "fingerprint": "0123", "images": 20}
KEPT = {"table": "cifar", "files": "set", "source": "regenerated"}
PUBLISHED = {"source": "published", "files": "CIFAR-10-C", "table": "cifar"}


def batch(count=6):
    rng = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, 8, 8, generator=rng), torch.arange(count) % 5, torch.arange(count)


@pytest.fixture
def batches(tiny_dataset):
    return eval_loader(tiny_dataset, 8, device=CPU)


@pytest.fixture
def kept(tmp_path, batches):
    return keep(tmp_path / "set", batches, of=OF, settings=KEPT)


def test_the_mean_is_over_severities_and_then_corruptions():
    assert mean_accuracy({"a": [90.0, 50.0], "b": [40.0, 20.0], "c": [0.0, 0.0]}, ("a", "b")) == 50


def test_a_cell_is_the_accuracy_on_those_corrupted_images(student):
    student.eval()
    x, y, index = batch()
    table, count = corruption_table(
        student, [(x[:4], y[:4], index[:4]), (x[4:], y[4:], index[4:])], names=("contrast", "fog")
    )
    for name in ("contrast", "fog"):
        for severity in (1, 5):
            images = corrupt(x, name, severity, table="cifar", seed=0, index=index)
            expected = 100 * (student(images).logits["one"].argmax(1) == y).float().mean().item()
            assert table[name][severity - 1] == pytest.approx(expected)
    assert count == 6


def test_a_corruption_named_twice_or_by_a_generator_counts_once(student):
    once = corruption_table(student.eval(), [batch()], names=("contrast", "fog"))
    assert corruption_table(student, [batch()], names=("contrast", "contrast", "fog")) == once
    assert corruption_table(student, [batch(), batch()], names=(name for name in ("contrast", "fog")))[0] == once[0]


def test_the_stored_result_has_both_means_and_every_cell(student):
    result = evaluate(student.eval(), [batch()])
    cells = result["value"]["table"]
    assert len(cells) == 19
    assert all(len(row) == 5 for row in cells.values())
    standard = sum(sum(cells[name]) / 5 for name in CORRUPTIONS15) / 15
    assert result["value"]["top1"] == pytest.approx(standard)
    assert result["value"]["released_top1"] == pytest.approx(sum(sum(row) / 5 for row in cells.values()) / 19)
    assert result["settings"]["source"] == "regenerated"
    with pytest.raises(UserError, match="no test images"):
        evaluate(student, [])


def test_at_64_px_the_table_is_tiny_imagenets():
    x, index = torch.full((1, 3, 64, 64), 0.4), torch.arange(1)
    tiny, imagenet = (corrupt(x, "gaussian_noise", 3, table=t, seed=0, index=index) for t in ("tiny", "imagenet"))
    assert torch.equal(MadeOnDemand()(x, index, "gaussian_noise", 3), tiny)
    assert not torch.equal(tiny, imagenet)


@pytest.mark.parametrize("name", ["gaussian_noise", "glass_blur", "frost", "jpeg_compression", "spatter"])
def test_a_kept_set_gives_the_pixels_that_would_be_made(kept, batches, name):
    for x, _, index in batches:
        for severity in (1, 5):
            wanted = corrupt(x, name, severity, table="cifar", seed=0, index=index)
            assert torch.equal(kept(x, index, name, severity), wanted)
            assert torch.equal(MadeOnDemand()(x, index, name, severity), wanted)


def test_a_kept_set_serves_any_batch_in_any_order(kept, batches):
    x, _, index = next(iter(batches))
    backwards = kept(x.flip(0), index.flip(0), "fog", 3)
    assert torch.equal(backwards.flip(0), kept(x, index, "fog", 3))


def test_a_kept_set_is_made_once_and_what_is_missing_is_added(tmp_path, batches, kept, monkeypatch):
    made = []
    monkeypatch.setattr(sources, "corrupt", lambda x, name, *a, **k: made.append(name) or corrupt(x, name, *a, **k))
    keep(tmp_path / "set", batches, of=OF, settings=KEPT)
    assert not made
    (tmp_path / "set" / "snow.npy").unlink()
    keep(tmp_path / "set", batches, of=OF, settings=KEPT)
    assert set(made) == {"snow"}


def test_the_manifest_tells_what_was_made_and_the_files_have_the_published_layout(tmp_path, kept, tiny_dataset):
    folder = tmp_path / "set"
    manifest = json.loads((folder / "manifest.json").read_text())
    digits = manifest.pop("sha256")
    made = {"table": "cifar", "seed": 0, "version": sources.VERSION, "severities": 5, "layout": "[5M,H,W,3]"}
    assert manifest == OF | made
    assert digits == {name: hashlib.sha256((folder / f"{name}.npy").read_bytes()).hexdigest() for name in ALL19}
    images = np.load(folder / "contrast.npy")
    side, count = tiny_dataset.size, len(tiny_dataset.test)
    assert images.dtype == np.uint8
    assert images.shape == (5 * count, side, side, 3)
    assert not any(".tmp" in path.name for path in folder.iterdir())


def test_a_set_of_other_images_is_refused(tmp_path, kept, batches):
    with pytest.raises(UserError, match=r"set holds .*delete the folder"):
        keep(tmp_path / "set", batches, of=OF | {"fingerprint": "4567"}, settings=KEPT)


def test_a_set_of_an_older_version_is_made_anew(tmp_path, kept, batches, monkeypatch):
    made, folder, (x, _, index) = [], tmp_path / "set", next(iter(batches))
    before = kept(x, index, "fog", 3)
    monkeypatch.setattr(sources, "corrupt", lambda x, name, *a, **k: made.append(name) or 1 - corrupt(x, name, *a, **k))
    monkeypatch.setattr(sources, "VERSION", sources.VERSION + 1)
    anew = keep(folder, batches, of=OF, settings=KEPT)
    assert set(made) == set(ALL19)
    assert json.loads((folder / "manifest.json").read_text())["version"] == sources.VERSION
    torch.testing.assert_close(anew(x, index, "fog", 3), 1 - before)
    made.clear()
    keep(folder, batches, of=OF, settings=KEPT)
    assert not made


def test_an_unreadable_file_is_named(tmp_path, kept, batches):
    (tmp_path / "set" / "snow.npy").write_bytes(b"half")
    x, _, index = next(iter(batches))
    with pytest.raises(UserError, match=r"snow.npy cannot be read .*it is made anew"):
        kept(x, index, "snow", 1)


def test_published_files_are_preferred_where_they_lie(tmp_path, tiny_dataset, monkeypatch):
    monkeypatch.setattr(sources, "in_workbook", lambda path: tmp_path / path)
    cifar = replace(tiny_dataset, name="cifar10")
    assert corruption_source(cifar, tmp_path / "runs", CPU).settings["source"] == "regenerated"
    write_published(tmp_path / "files", cifar.test.labels)
    (tmp_path / "data").mkdir()
    (tmp_path / "files").rename(tmp_path / "data" / "CIFAR-10-C")
    assert corruption_source(cifar, tmp_path / "runs", CPU).settings == PUBLISHED | {
        "checksum": checksum(tmp_path / "data" / "CIFAR-10-C")
    }
    own = corruption_source(tiny_dataset, tmp_path / "runs", CPU)
    assert isinstance(own, Stored)
    assert own.settings == {
        **{"source": "regenerated", "files": "corrupted-cifar-tiny", "table": "cifar"},
        **{"seed": 0, "version": sources.VERSION},
    }


def test_large_images_are_made_as_needed_and_not_kept(tmp_path, tiny_dataset):
    source = corruption_source(replace(tiny_dataset, size=224), tmp_path, CPU)
    assert isinstance(source, MadeOnDemand)
    assert not any(tmp_path.iterdir())


def test_the_result_says_where_the_images_came_from(student, kept, batches):
    result = evaluate(student.eval(), batches, source=kept)
    assert result["settings"]["files"] == "set"
    assert result["value"] == evaluate(student, batches)["value"]
    assert "ImageMagick" in result["protocol"]


def test_one_set_at_two_sides_is_kept_in_two_folders(tmp_path, tiny_dataset):
    def sized(side):
        enlarged = torch.nn.functional.interpolate(tiny_dataset.test.images, size=side)
        return replace(tiny_dataset, size=side, test=replace(tiny_dataset.test, images=enlarged))

    assert corruption_source(tiny_dataset, tmp_path, CPU).folder.name == "corrupted-cifar-tiny-8px"
    assert corruption_source(sized(32), tmp_path, CPU).folder.name == "corrupted-cifar-tiny"
    assert corruption_source(sized(16), tmp_path, CPU).folder.name == "corrupted-cifar-tiny-16px"
    assert source_settings("tiny", 8, "f") == source_settings("tiny", 32, "f"), "results of older versions stay"


def test_a_set_that_an_older_version_kept_under_the_plain_name_is_taken(tmp_path, tiny_dataset):
    corruption_source(tiny_dataset, tmp_path, CPU).folder.rename(tmp_path / "corrupted-cifar-tiny")
    assert corruption_source(tiny_dataset, tmp_path, CPU).folder.name == "corrupted-cifar-tiny"
