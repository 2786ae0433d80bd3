"""The demonstration folder: the packaged photographs as image files."""

import os

import pytest
import torch
from PIL import Image

from adautomix.data import load_dataset
from adautomix.data.photos import write_photo_folder
from adautomix.utils.errors import UserError

SIZE = 16
FILES = 432


@pytest.fixture(scope="module")
def photos():
    return load_dataset("photos", size=SIZE)


def state(root):
    return {path.relative_to(root): (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*.png")}


def test_the_folder_read_back_holds_the_same_pixels_in_the_same_splits(tmp_path, photos):
    assert write_photo_folder(tmp_path / "demo", SIZE) == FILES
    read = load_dataset("folder", root=tmp_path / "demo", size=SIZE)
    assert read.classes == tuple(sorted(photos.classes))
    for part in ("train", "test"):
        ours, theirs = getattr(read, part), getattr(photos, part)
        for k, name in enumerate(read.classes):
            expected = theirs.images[theirs.labels == photos.classes.index(name)]
            assert torch.equal(ours.images[ours.labels == k], expected), (part, name)


def test_nothing_is_written_twice_and_only_what_is_missing_is_made_good(tmp_path):
    write_photo_folder(tmp_path, SIZE)
    before = state(tmp_path)
    assert write_photo_folder(tmp_path, SIZE) == 0
    assert state(tmp_path) == before
    gone = [tmp_path / "train" / "cat" / "07.png", *(tmp_path / "test" / "temple").iterdir()]
    for path in gone:
        path.unlink()
    assert write_photo_folder(tmp_path, SIZE) == len(gone) == 25
    after = state(tmp_path)
    assert {path: data for path, (data, _) in after.items()} == {path: data for path, (data, _) in before.items()}
    assert sum(after[path] != before[path] for path in before) == len(gone)


def test_a_write_that_is_cut_off_leaves_no_half_file(tmp_path, monkeypatch):
    whole, seen = Image.Image.save, []

    def save(image, path, **options):
        seen.append(path)
        if len(seen) > 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        whole(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(KeyboardInterrupt):
        write_photo_folder(tmp_path, SIZE)
    monkeypatch.undo()
    assert len(state(tmp_path)) == 3
    assert write_photo_folder(tmp_path, SIZE) == FILES - 3
    assert all(Image.open(path).size == (SIZE, SIZE) for path in tmp_path.rglob("*.png"))
    assert sum(len(names) for _, _, names in os.walk(tmp_path)) == FILES


def test_files_of_another_size_are_not_taken_for_ours(tmp_path):
    write_photo_folder(tmp_path, SIZE)
    with pytest.raises(UserError, match=r"00\.png is 16 x 16 px, not 24; name an empty folder"):
        write_photo_folder(tmp_path, 24)
