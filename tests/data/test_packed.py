"""Images packed in Parquet or Arrow as Hugging Face `datasets` does, or in an .npz as MedMNIST."""

import json

import numpy as np
import pytest
import torch
from helpers.trees import jpeg

from adautomix.data import DATASETS, load_dataset
from adautomix.data.loader import eval_loader, train_loader
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")
CLASSES = ("red fox", "arctic fox", "wolf")


def table(count, first=0, *, named=True, struct=True, labels=None):
    """Return an Arrow table of pictures in the layout of `datasets`, and the pictures."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is an extra")
    pictures = [jpeg(k, first + i, 32) for i in range(count) for k in range(3)]
    images = [{"bytes": content, "path": f"{i}.jpg"} for i, content in enumerate(pictures)]
    labels = list(range(3)) * count if labels is None else labels
    found = arrow.table({"image": images if struct else pictures, "label": labels, "note": ["x"] * len(pictures)})
    features = {"image": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})} if named else {})


def write_parquet(path, content):
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(content, path)


def write_arrow(path, content):
    import pyarrow

    path.parent.mkdir(parents=True, exist_ok=True)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, content.schema) as stream:
        stream.write_table(content, max_chunksize=5)


LAYOUTS = {
    "repository": (write_parquet, "data/{}-00000-of-00001.parquet"),
    "converted": (write_parquet, "default/{}/0000.parquet"),
    "saved": (write_arrow, "{}/data-00000-of-00001.arrow"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("struct", [True, False])
def test_every_layout_of_datasets_gives_the_pictures_and_their_classes(tmp_path, layout, struct):
    writer, name = LAYOUTS[layout]
    for part, first in (("train", 0), ("test", 4)):
        writer(tmp_path / "foxes" / name.format(part), table(4 if part == "train" else 2, first, struct=struct))
    dataset = DATASETS["parquet"](root=tmp_path / "foxes")
    assert (dataset.label, dataset.classes, dataset.remarks) == ("parquet-foxes", CLASSES, ())
    for split, numbers in ((dataset.train, range(4)), (dataset.test, range(4, 6))):
        found = [bytes(image.content) for image in split.paths]
        assert found == [jpeg(k, i, 32) for i in numbers for k in range(3)]
        assert split.labels.tolist() == list(range(3)) * len(numbers)
    small = load_dataset("parquet", root=tmp_path / "foxes", size=16)
    assert small.train.images.shape == (12, 3, 16, 16)


def test_large_images_of_a_parquet_are_streamed_as_files_are(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", table(6))
    dataset = load_dataset("parquet", root=tmp_path, size=72)
    assert [len(dataset.train), len(dataset.test)] == [12, 6]  # a fixed share held out
    epochs = [list(train_loader(dataset, 4, device=CPU, seed=1, workers=w).epoch(0)) for w in (0, 2)]
    assert all(torch.equal(a.x, b.x) for a, b in zip(*epochs, strict=True))
    assert len(list(eval_loader(dataset, 4, device=CPU, workers=0))) == 2


def test_without_names_classes_are_the_labels_and_copies_are_told(tmp_path):
    write_parquet(tmp_path / "train.parquet", table(2, named=False))
    write_parquet(tmp_path / "test.parquet", table(1, named=False))
    dataset = DATASETS["parquet"](root=tmp_path)
    assert dataset.classes == ("0", "1", "2")
    assert dataset.remarks[0].startswith("3 of 3 test image(s) are training images too, byte for byte: ")
    assert "test.parquet, row 0 = " in dataset.remarks[0]
    write_parquet(tmp_path / "train.parquet", table(1, named=False, labels=["b", "a", "c"]))
    write_parquet(tmp_path / "test.parquet", table(1, 9, named=False, labels=["b", "a", "c"]))
    assert DATASETS["parquet"](root=tmp_path).classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop_columns("image"), r"must have a column of images .* called image, img"),
        (lambda t: t.drop_columns("label"), r"must have a column of labels .* it has image \(struct"),
        (lambda t: t.slice(0, 0), "must hold images of two or more|no image of 3 class"),
        (lambda t: table(2, labels=[0, 1, -1, 0, 1, 2]), "1 of 6 images of .* have no label"),
        (lambda t: table(2, labels=[0, 1, -100, 0, 1, 2], named=False), "1 of 6 images of .* have no label"),
        (lambda t: table(2, labels=[0, 1, 7, 0, 1, 2]), "has the label 7, and names 3 classes"),
    ],
)
def test_a_parquet_that_lacks_something_is_told_what(tmp_path, spoil, message):
    write_parquet(tmp_path / "train.parquet", spoil(table(2)))
    with pytest.raises(UserError, match=message):
        DATASETS["parquet"](root=tmp_path)


def test_damaged_parquet_and_arrow_files_are_named(tmp_path):
    write_parquet(tmp_path / "train.parquet", table(2))
    whole = (tmp_path / "train.parquet").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PAR1 nothing PAR1"):
        (tmp_path / "train.parquet").write_bytes(content)
        with pytest.raises(UserError, match=r"train.parquet cannot be read \(.*fetch it again"):
            DATASETS["parquet"](root=tmp_path)
    (tmp_path / "train.parquet").unlink()
    (tmp_path / "train.arrow").write_bytes(b"no arrow")
    with pytest.raises(UserError, match=r"train.arrow cannot be read"):
        DATASETS["parquet"](root=tmp_path)


def test_a_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "train.parquet").write_bytes(b"some bytes")
    with pytest.raises(UserError, match="needs pyarrow: pip install"):
        DATASETS["parquet"](root=tmp_path)
    with pytest.raises(UserError, match=r"holds no \.parquet and no \.arrow file"):
        DATASETS["parquet"](root=(tmp_path / "train.parquet").rename(tmp_path / "other").parent)


def medical(colour=False, side=28, counts=(12, 4, 6), labels=None):
    rng, arrays = np.random.default_rng(0), {}
    for part, count in zip(("train", "val", "test"), counts, strict=True):
        shape = (count, side, side, 3) if colour else (count, side, side)
        arrays[f"{part}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 3 if labels is None else labels(count)).reshape(count, -1)
    return arrays


@pytest.mark.parametrize("colour", [False, True])
def test_an_npz_of_medmnist_is_read_with_its_validation_images(tmp_path, colour):
    arrays = medical(colour)
    np.savez_compressed(tmp_path / "organmnist.npz", **arrays)
    dataset = load_dataset("medmnist", root=tmp_path)
    assert (dataset.label, dataset.classes, dataset.size) == ("medmnist-organmnist", ("0", "1", "2"), 28)
    pixels = dataset.validation.images.permute(0, 2, 3, 1).numpy()
    expected = arrays["val_images"] if colour else arrays["val_images"][..., None].repeat(3, 3)
    assert np.array_equal(pixels, expected)
    assert dataset.test.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert load_dataset("medmnist", root=tmp_path / "organmnist.npz", size=32).train.images.shape == (12, 3, 32, 32)
    assert len(load_dataset("medmnist", root=tmp_path, validation=0.25).validation) == 3
    arrays["test_images"][0] = arrays["train_images"][5]
    np.savez(tmp_path / "organmnist.npz", **arrays)
    changed = load_dataset("medmnist", root=tmp_path)
    assert changed.remarks[0] == "1 of 10 val or test image(s) are training images too, byte for byte: test 0 = train 5"
    assert changed.fingerprint != dataset.fingerprint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_images": np.zeros(3)}, "must hold train_images, .* it has no train_labels, val_images"),
        (medical() | {"train_images": np.zeros((12, 28, 28))}, r"must be uint8 \[N,S,S\].* got float64"),
        (medical() | {"test_images": np.zeros((6, 28, 28, 28), dtype=np.uint8)}, r"got uint8 \[6, 28, 28, 28\]"),
        (medical(labels=lambda n: np.zeros((n, 14), dtype=int)), "have 14 columns: several labels an image"),
        (medical() | {"train_labels": np.zeros(5, dtype=int)}, r"must be 12 class ids from 0 on, got int64 \[5\]"),
        (medical(labels=lambda n: np.arange(n) % 3 - 1), "must be 12 class ids from 0 on"),
        (medical(labels=lambda n: np.arange(n) % 3 + 1), r"hold no image of 1 class\(es\): 0"),
        (medical() | {"train_labels": np.array([object()] * 12)}, "cannot be read as an .npz .*allow_pickle"),
    ],
)
def test_an_npz_of_something_else_is_told_why(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        load_dataset("medmnist", root=tmp_path)


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK" + b[2:90]])
def test_a_damaged_npz_is_named(tmp_path, spoil):
    np.savez(tmp_path / "a.npz", **medical())
    (tmp_path / "a.npz").write_bytes(spoil((tmp_path / "a.npz").read_bytes()))
    with pytest.raises(UserError, match=r"a.npz cannot be read as an .npz of arrays .*fetch it again"):
        load_dataset("medmnist", root=tmp_path)
    with pytest.raises(UserError, match=r"0 \.npz files"):
        load_dataset("medmnist", root=(tmp_path / "a.npz").rename(tmp_path / "b").parent)


def test_the_same_images_of_an_npz_divided_otherwise_are_another_set(tmp_path):
    images, labels = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8), np.arange(20) % 2
    found = set()
    for first in (12, 16):
        rows = {"train": slice(first), "val": slice(first, 18), "test": slice(18, 20)}
        pictures = {f"{part}_images": images[own] for part, own in rows.items()}
        np.savez(tmp_path / "set.npz", **pictures, **{f"{part}_labels": labels[own] for part, own in rows.items()})
        found.add(DATASETS["medmnist"](root=tmp_path / "set.npz").fingerprint)
    assert len(found) == 2
