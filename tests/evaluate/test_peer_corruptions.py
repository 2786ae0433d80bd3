"""Corruptions that draw nothing, beside the package imagecorruptions-imaug, if it is installed."""

import pytest
import torch

from adautomix.evaluate.corruptions import corrupt

peer = pytest.importorskip("imagecorruptions")


@pytest.mark.parametrize("name", ["brightness", "contrast", "pixelate", "jpeg_compression", "zoom_blur", "saturate"])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_what_draws_nothing_agrees_with_imagecorruptions_imaug(name, severity):
    """At 224 px, whose table is the only one it knows; one grey level apart at most, for it computes in float64."""
    coarse = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(coarse, size=224, mode="bicubic").clamp(0, 1).mul(255).round().div(255)
    pixels = x[0].mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    theirs = torch.from_numpy(peer.corrupt(pixels, corruption_name=name, severity=severity).copy())
    ours = corrupt(x, name, severity, table="imagenet", seed=0, index=torch.arange(1))[0].permute(1, 2, 0) * 255
    assert (ours.round() - theirs).abs().max() <= 1
