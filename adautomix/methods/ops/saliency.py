"""Saliency: how much each pixel stands out from its image, or matters to the student.

Spectral residual: Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007; what is transformed
back is the residual of the *log* amplitude with the image's own phase. Input gradient: Kim et al. 2020 (Puzzle Mix).
A pass through the student to look at gradients is not free of traces. In train mode it moves
BatchNorm's running statistics, `backward` writes into every `.grad`, dropout consumes random numbers. None of that may
happen, or a method that only looks would train another student than one that does not.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.models.modes import eval_mode
from adautomix.utils.grey import LUMA
from adautomix.utils.seeding import same_random_state

LARGEST = 64
"""Maps are computed at this side at most (px): the method looks at an image as from afar (section 3.3)."""
BLUR_SIGMA, BLUR_SIDE = 2.5, 9
"""Final Gaussian, px at the map's size."""


@torch.no_grad()
def spectral_residual(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
    """Return how much each pixel stands out from its image, zero or more, by batched FFT; nothing but x is read.

    Args:
        x: images in [0,1]; what three channels weigh is known, of other numbers of them all weigh the same.
    """
    with torch.autocast(x.device.type, enabled=False):  # in bfloat16 maps have ties, and peaks elsewhere
        return _spectral_residual(x.float())


def _spectral_residual(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
    height, width = x.shape[-2:]
    weights = LUMA if x.shape[1] == 3 else [1 / x.shape[1]] * x.shape[1]
    # Numbers, not a tensor of them: to copy one to a GPU would wait for it.
    grey = sum(channel * weight for channel, weight in zip(x.unbind(1), weights, strict=True))
    if max(height, width) > LARGEST:
        ratio = LARGEST / max(height, width)
        small = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        grey = F.interpolate(grey[:, None], size=small, mode="bilinear", align_corners=False, antialias=True)[:, 0]
    spectrum = torch.fft.fft2(_taper(grey - grey.mean(dim=(1, 2), keepdim=True)))
    amplitude = (spectrum.abs() + 1e-8).log()
    smooth = F.avg_pool2d(F.pad(amplitude[:, None], (1, 1, 1, 1), mode="circular"), 3, stride=1)[:, 0]
    residual = torch.polar((amplitude - smooth).exp(), spectrum.angle())
    salient = _blur(torch.fft.ifft2(residual).abs().square())
    if salient.shape[-2:] != (height, width):
        salient = F.interpolate(salient[:, None], size=(height, width), mode="bilinear", align_corners=False)[:, 0]
    return salient


def most_salient(saliency: Float[Tensor, "B H W"]) -> Int[Tensor, "B 2"]:
    """Return row and column of the highest value of each map; of equal ones the first."""
    place = saliency.flatten(1).argmax(dim=1)
    width = saliency.shape[2]
    return torch.stack([place // width, place % width], dim=1)


def _taper(maps: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Return the maps, faded to 0 over the outer eighth of each side.

    The Fourier transform sees a periodic image: the jump between opposite borders would stand out more than anything in
    it (of six photographs, five had their peak in a corner).
    """
    for dim in (1, 2):
        side = maps.shape[dim]
        place = torch.arange(side, device=maps.device) + 0.5
        share = (torch.minimum(place, side - place) * 8 / side).clamp(max=1)
        fade = (share * math.pi / 2).sin().square()
        maps = maps * fade.view(-1, 1) if dim == 1 else maps * fade
    return maps


def _blur(maps: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Return the maps after a Gaussian filter, borders repeated."""
    half = BLUR_SIDE // 2
    kernel = torch.exp(-(torch.arange(-half, half + 1, device=maps.device).square() / (2 * BLUR_SIGMA**2)))
    kernel = kernel / kernel.sum()
    padded = F.pad(maps[:, None], (half, half, half, half), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]


def gradient_saliency(
    student: nn.Module, x: Float[Tensor, "B C H W"], targets: Float[Tensor, "B K"], head: str = "one"
) -> Float[Tensor, "B H W"]:
    """Return the norm over channels of the gradient of every image's own cross-entropy with respect to its pixels.

    Kim et al. 2020 (Puzzle Mix); in eval mode, as in the released code (snu-mllab/PuzzleMix, main.py:
    model.eval() around the pass where clean_lam is 0). There the losses are averaged over the batch and the squares
    over channels; both only scale the map, and every user of it divides by its sum.

    The student stays as it was: state dict, `.grad`, random state and every module's train flag. Hooks of the student
    do run. Works under autocast and no_grad.

    Args:
        student: a Classifier.
        x: images in [0,1]; left untouched, and no gradient reaches them.
        targets: soft targets, rows sum to 1.
    Returns: a new float32 tensor without graph, loss per unit of pixel intensity, zero or more.
    """
    with eval_mode(student), same_random_state(x.device), torch.enable_grad():
        pixels = x.detach().clone().requires_grad_()
        # A view: what counts FLOPs hooks whatever enters a module, and under autograd.grad it cannot hook a leaf.
        logits = student(pixels.view_as(pixels), heads=(head,)).logits[head]
        if logits.dtype == torch.float16:  # gradients below 6e-8 would be 0: every image starts from one of length 1
            start = logits.detach().float().softmax(dim=1) - targets.detach().float()
            size = start.norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
            (gradient,) = torch.autograd.grad(logits, pixels, (start / size[:, None]).half())
            return gradient.float().norm(dim=1) * size[:, None, None]
        loss = F.cross_entropy(logits.float(), targets.detach().float(), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, pixels)  # writes into no .grad, unlike backward
    return gradient.float().norm(dim=1)
