"""Contrast, brightness, colours, pixelation and JPEG: are they their closed forms and Pillow's?"""

import io
import math

import numpy as np
import pytest
import torch
from helpers.corrupting import grey, images, run
from PIL import Image

from adautomix.evaluate.corruptions import FUNCTIONS, corrupt, severities
from adautomix.evaluate.corruptions.digital import pixelate
from adautomix.evaluate.per_image_rng import PerImageRNG

NONE = PerImageRNG(torch.zeros(0, dtype=torch.int64))


def test_contrast_is_its_closed_form():
    x = images()
    mean = x.double().mean((2, 3), keepdim=True)
    expected = ((x.double() - mean) * 0.4 + mean).clamp(0, 1) * 255
    assert float((run(x, "contrast") * 255 - expected).abs().max()) <= 1.001  # cut off, not rounded


def test_brightness_of_grey_is_value_plus_summand_and_black_turns_grey():
    for level in (0, 100, 250):
        expected = min(math.floor(level + 0.15 * 255), 255) / 255
        assert torch.allclose(run(grey(level), "brightness"), torch.tensor(expected))


@pytest.mark.parametrize("name", ["brightness", "saturate"])
def test_colours_agree_with_scikit_image(name):
    color = pytest.importorskip("skimage.color")
    x = images(2)
    x[0, :, :4, :4] = 0.0
    x[1, :, :4, :4] = 0.5
    for setting in severities("tiny")[name]:
        hsv = color.rgb2hsv(x.double().permute(0, 2, 3, 1).numpy())
        if name == "brightness":
            hsv[..., 2] = np.clip(hsv[..., 2] + setting, 0, 1)
        else:
            hsv[..., 1] = np.clip(hsv[..., 1] * setting[0] + setting[1], 0, 1)
        expected = torch.from_numpy(color.hsv2rgb(hsv)).permute(0, 3, 1, 2).float()
        torch.testing.assert_close(FUNCTIONS[name](x, setting, NONE), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(32, 32), (17, 24), (64, 64)])
@pytest.mark.parametrize("factor", [0.95, 0.85, 0.65, 0.5, 0.25])
def test_pixelate_is_pillows_box_filter_bit_by_bit(shape, factor):
    x = images(3, max(shape))[..., : shape[0], : shape[1]]
    for image, result in zip(x, pixelate(x, factor, NONE), strict=True):
        pil = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
        small = pil.resize((int(shape[1] * factor), int(shape[0] * factor)), Image.Resampling.BOX)
        expected = np.asarray(small.resize(shape[::-1], Image.Resampling.BOX))
        assert np.array_equal((result * 255).round().byte().permute(1, 2, 0).numpy(), expected)


def test_jpeg_is_pillows():
    x = images(2)
    for image, result in zip(x, run(x, "jpeg_compression"), strict=True):
        file = io.BytesIO()
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=58)
        assert np.array_equal((result * 255).round().byte().permute(1, 2, 0).numpy(), np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", ["brightness", "contrast", "pixelate", "jpeg_compression", "zoom_blur", "saturate"])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_what_draws_nothing_agrees_with_imagecorruptions_imaug(name, severity):
    """At 224 px, whose table is the only one it knows; one grey level apart at most, for it computes in float64."""
    peer = pytest.importorskip("imagecorruptions")
    coarse = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(coarse, size=224, mode="bicubic").clamp(0, 1).mul(255).round().div(255)
    pixels = x[0].mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    theirs = torch.from_numpy(peer.corrupt(pixels, corruption_name=name, severity=severity).copy())
    ours = corrupt(x, name, severity, table="imagenet", seed=0, index=torch.arange(1))[0].permute(1, 2, 0) * 255
    assert (ours.round() - theirs).abs().max() <= 1
