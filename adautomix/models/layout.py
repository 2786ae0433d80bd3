"""Which memory layout images have on their way through a network: NHWC is faster, and on a CPU not for all safe."""

import torch
from torch import nn

FEWEST = 16
"""Input channels from which a strided 1x1 convolution is safe: a vector's lanes, 8 with AVX2, 16 with AVX-512."""


def nhwc_is_safe(net: nn.Module) -> bool:
    """Return whether a CPU may train the network on images in NHWC; see `layout_for`."""
    return not any(map(_overruns, net.modules()))


def layout_for(net: nn.Module, device: torch.device, *, channels_last: bool) -> torch.memory_format:
    """Return channels_last (NHWC) if it is asked for and safe, else the usual layout.

    On CPUs oneDNN (3.14 and before) computes the weights' gradient of a strided 1x1 convolution in NHWC through a
    buffer that is too small for fewer input channels than a vector has lanes, and writes past it (its issue 6035): a
    ResNet of width 4 ended in "free(): invalid next size" with AVX2, and one of width 8 did not.
    """
    if channels_last and (device.type != "cpu" or nhwc_is_safe(net)):
        return torch.channels_last
    return torch.contiguous_format


def keep_safe(net: nn.Module) -> None:
    """Put a network's weights that lie on a CPU in NHWC back into the usual layout, unless NHWC is safe for it.

    Where a weight is in NHWC, its convolution computes in NHWC whatever the images are in.
    """
    if nhwc_is_safe(net):
        return
    for weight in net.parameters():
        if weight.device.type == "cpu" and weight.ndim == 4 and weight.stride() != usual_strides(weight.shape):
            weight.data = weight.data.clone(memory_format=torch.contiguous_format)


def usual_strides(shape: torch.Size) -> tuple[int, ...]:
    """Return the strides of a new tensor. `is_contiguous` will not do: weights of 1x1 px are so in NHWC as well."""
    return torch.empty(shape, device="meta").stride()


def _overruns(module: nn.Module) -> bool:
    narrow = isinstance(module, nn.Conv2d) and module.in_channels // module.groups < FEWEST
    return narrow and module.kernel_size == (1, 1) and max(module.stride) > 1
