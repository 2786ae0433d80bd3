"""JPEG files decoded on the device: the same crops of the same images as decoded by the workers? Here on the CPU."""

import pytest
import torch
from helpers.batches import nine_files
from PIL import Image

from adautomix.config import TrainConfig
from adautomix.data.gpu_decode import EncodedLoader
from adautomix.data.loader import train_loader
from adautomix.utils.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    return nine_files(tmp_path)


def encoded(dataset, workers=0, device=CPU):
    options = {"shuffle": True, "flip": dataset.flip, "crop_scale": dataset.crop_scale}
    return EncodedLoader(dataset.train, 4, size=dataset.size, workers=workers, device=device, seed=1, **options)


def assert_nearly_equal(ours, theirs):
    """The same rows and classes, and pixels a grey level or two apart on average."""
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.index, b.index)
        assert torch.equal(a.y, b.y)
        assert a.x.shape == b.x.shape
        assert (a.x - b.x).abs().mean() < 2 / 255


def test_batches_are_those_of_the_workers_but_for_rounding(files):
    workers = train_loader(files, 4, device=CPU, seed=1, workers=0)
    for epoch in (0, 1):
        assert_nearly_equal(list(encoded(files).epoch(epoch)), list(workers.epoch(epoch)))


def test_they_do_not_depend_on_the_number_of_workers(files):
    alone, two = (list(encoded(files, workers=n).epoch(1)) for n in (0, 2))
    assert all(torch.equal(a.x, b.x) for a, b in zip(alone, two, strict=True))


def test_what_is_no_plain_jpeg_is_decoded_as_always(files):
    png, turned = files.train.paths[0], files.train.paths[1]
    Image.open(png).convert("L").save(png, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held upright
    Image.open(turned).save(turned, "JPEG", exif=exif)
    assert_nearly_equal(
        list(encoded(files).epoch(0)), list(train_loader(files, 4, device=CPU, seed=1, workers=0).epoch(0))
    )


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", ["cut", "text"])
def test_a_damaged_file_is_named(files, workers, damage):
    path = files.train.paths[4]
    path.write_bytes(path.read_bytes()[:300] if damage == "cut" else b"no picture")
    with pytest.raises(UserError, match=f"image file .*{path.name} cannot be read"):
        list(encoded(files, workers).epoch(0)) + list(encoded(files, workers).epoch(1))


def test_it_needs_a_gpu_and_no_rand_augment(files):
    with pytest.raises(UserError, match="decode='gpu' needs a CUDA device, got cpu"):
        train_loader(files, 4, device=CPU, seed=1, decode="gpu")
    with pytest.raises(UserError, match="leaves no image on the CPU for rand_augment"):
        TrainConfig(decode="gpu", rand_augment="rand-m7")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_decodes_the_same_crops(files):
    ours = list(encoded(files, device=torch.device("cuda")).epoch(0))
    theirs = list(train_loader(files, 4, device=CPU, seed=1, workers=0).epoch(0))
    assert_nearly_equal([type(b)(*(t.cpu() for t in b)) for b in ours], theirs)
