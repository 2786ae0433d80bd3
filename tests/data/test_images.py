"""Single image files: are they read as they look, as the evaluators get them, and named when they cannot be?"""

import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.batches import nine_files
from PIL import Image, ImageOps, features
from torchvision.transforms import v2

from adautomix.data import images as images_module
from adautomix.data.base import IN_MEMORY
from adautomix.data.images import read_for_test, read_images, read_rgb
from adautomix.data.loader import eval_loader
from adautomix.utils.errors import UserError


def test_an_image_keeps_the_centre_square(tmp_path):
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_for_test(tmp_path / "wide.png", 10) == 200).all()


def test_sixteen_bit_grey_and_turned_photographs_are_read_as_they_look(tmp_path):
    for name in ("grey.png", "grey.tif", "grey.pgm"):
        Image.fromarray(np.full((8, 8), 30000, dtype=np.uint16)).save(tmp_path / name)
        assert (read_for_test(tmp_path / name, 8) == 30000 // 256).all(), name
    half = np.zeros((8, 8, 3), dtype=np.uint8)
    half[:4] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways: turn clockwise
    Image.fromarray(half).save(tmp_path / "turned.png", exif=exif)
    image = read_for_test(tmp_path / "turned.png", 8)
    assert (image[:, :, 4:] == 255).all()
    assert (image[:, :, :4] == 0).all()


def test_twelve_bit_tiffs_keep_their_range(tmp_path):
    tags = {256: 8, 257: 8, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 96}  # 8 x 8 px, pixels at byte 8
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "12.tif").write_bytes(b"II*\0" + struct.pack("<I", 8 + 96) + b"\xff" * 96 + directory)
    assert (read_for_test(tmp_path / "12.tif", 8) == 255).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_grey_without_a_known_range_is_refused(tmp_path, kind):
    Image.fromarray(np.ones((8, 8), dtype=kind)).save(tmp_path / "grey.tif")
    with pytest.raises(UserError, match=r"grey.tif .*no fixed white in mode [IF]: save it with 8 or 16 unsigned bits"):
        read_images([tmp_path / "grey.tif"], 8)
    with pytest.raises(UserError, match=r"grey.tif .*no fixed white in mode [IF]: save it with 8 or 16 unsigned bits"):
        read_rgb(tmp_path / "grey.tif")


@pytest.mark.parametrize("size", [32, IN_MEMORY, 72, 224])
def test_one_image_is_read_as_the_evaluators_get_it(tmp_path, size):
    dataset = replace(nine_files(tmp_path), size=size)
    (batch,) = eval_loader(dataset.in_memory(), 9, device=torch.device("cpu"), workers=0)
    for x, path in zip(batch.x, dataset.test.paths, strict=True):
        assert torch.equal(x, read_for_test(path, size) / 255), path


def test_images_above_64_px_are_cut_out_as_torchvision_does(tmp_path):
    usual = v2.Compose([v2.Resize(82, antialias=True), v2.CenterCrop(72), v2.PILToTensor()])
    for path in nine_files(tmp_path).test.paths:
        assert torch.equal(read_for_test(path, 72), usual(read_rgb(path))), path


def test_a_picture_with_a_damaged_exif_tag_is_read(tmp_path):
    path, half = tmp_path / "a.jpg", np.zeros((8, 8, 3), dtype=np.uint8)
    half[:4] = 255  # white above
    turned, damaged = (0x0112, 3, 1, 6 << 16), (0x012D, 5, 1, 1)  # a fraction where integers belong
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + b"".join(struct.pack(">HHII", *t) for t in (turned, damaged))
    Image.fromarray(half).save(path, exif=exif + bytes(4))
    with Image.open(path) as file, pytest.raises(struct.error):
        ImageOps.exif_transpose(file)
    image = read_for_test(path, 8).float()
    assert image[:, :, 4:].mean() > 250  # the turn itself can be read
    assert image[:, :, :4].mean() < 5


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_a_broken_avif_called_jpg_is_named(tmp_path):
    path, noise = tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, format="AVIF")
    before, pixels = path.read_bytes().split(b"mdat")
    path.write_bytes(before + b"mdat" + b"\xff" * len(pixels))
    for read in (lambda: read_images([path], 8), lambda: read_rgb(path)):
        with pytest.raises(UserError, match=r"a\.jpg"):
            read()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("decoder\nfailed"), struct.error("unpack requires")])
def test_whatever_a_decoder_raises_the_file_is_named(tmp_path, monkeypatch, error):
    (tmp_path / "a.jpg").write_bytes(b"broken")

    def fail(path):
        raise error

    monkeypatch.setattr(images_module.Image, "open", fail)
    reason = str(error).partition("\n")[0] or "MemoryError"
    for read in (lambda: read_images([tmp_path / "a.jpg"], 8), lambda: read_rgb(tmp_path / "a.jpg")):
        with pytest.raises(UserError, match=rf"a\.jpg .*\({reason}\)"):
            read()
        with pytest.raises(UserError, match=r"^[^\n]*$"):
            read()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path, mode):
    pixels = np.zeros((8, 8, 4), np.uint8)  # black on nothing, as icons are
    pixels[2:6, 2:6, 3] = 255
    Image.fromarray(pixels).convert(mode).save(tmp_path / "icon.png")
    image = read_for_test(tmp_path / "icon.png", 8)
    assert (image[:, 2:6, 2:6] == 0).all()
    assert (image[:, 0] == 255).all()


def test_a_negative_of_sixteen_bits_is_turned_as_one_of_eight_is(tmp_path):
    grey = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "8.tif", tiffinfo={262: 0})  # Pillow turns those, here and when it reads
    Image.fromarray((255 - grey.astype(np.uint16)) * 257).save(tmp_path / "16.tif", tiffinfo={262: 0})
    for bits in (8, 16):
        assert np.array_equal(read_for_test(tmp_path / f"{bits}.tif", 8)[0].numpy(), grey)
