"""What the contract asks of a mix: shapes, numbers, and that images, masks and labels tell the same."""

import numpy as np
import torch

from adautomix.lessons.trial import CLASSES, batch, mixes, start
from adautomix.methods.base import MixMethod

CLOSE = 1e-3
"""Largest difference of a label or a pixel that counts as equal."""


def shapes(kind: type[MixMethod]) -> str | None:
    for count, size in ((4, (8, 8)), (5, (8, 12))):
        for _, _, mixed in mixes(kind, count=count, size=size):
            slots, dtype = mixed.index.shape[0], torch.float32
            wanted = {"x": ((count, 3, *size), dtype), "y": ((count, CLASSES), dtype), "lam": ((count, slots), dtype)}
            wanted |= {"index": ((slots, count), torch.long)}
            wanted |= {} if mixed.mask is None else {"mask": ((count, slots, *size), dtype)}
            for name, (shape, dtype) in wanted.items():
                got = getattr(mixed, name)
                if tuple(got.shape) != tuple(shape) or got.dtype != dtype:
                    given = f"of {count} images of {size[0]} x {size[1]} px {name} should be {_kind(shape, dtype)}"
                    return f"{given}, got {_kind(got.shape, got.dtype)}"
            inside = [row for n, row in enumerate(mixed.index) if n not in mixed.outside]
            if any(row.min() < 0 or row.max() >= count for row in inside):
                return f"index names images that the batch of {count} does not have"
    return None


def numbers(kind: type[MixMethod]) -> str | None:
    for _, _, mixed in mixes(kind):
        parts = {"images": mixed.x, "labels": mixed.y, "lam": mixed.lam}
        parts |= {} if mixed.mask is None else {"masks": mixed.mask}
        for name, part in parts.items():
            if not torch.isfinite(part).all():
                return f"the {name} hold numbers that are not finite"
            if part.min() < -1e-5 or part.max() > 1 + 1e-5:
                return f"the {name} should lie in [0,1], they go from {part.min():.2f} to {part.max():.2f}"
        for name, part in list(parts.items())[1:]:
            if (gap := (part.sum(dim=1) - 1).abs().max()) > CLOSE:
                what = "classes" if name == "labels" else "slots"
                return f"the {name} should sum to 1 over the {what}, they are off by up to {gap:.2g}"
    return None


def labels(kind: type[MixMethod]) -> str | None:
    for y, ctx, mixed in mixes(kind):
        told = [mixed.slot_targets(n, ctx.targets(y)) for n in range(len(mixed.index))]
        gap = ((mixed.lam.T[..., None] * torch.stack(told)).sum(dim=0) - mixed.y).abs().max()
        if gap > CLOSE:
            return f"y should be the sum of the slots' labels, each times its lam; it is off by up to {gap:.2f}"
    return None


def areas(kind: type[MixMethod]) -> str | None:
    if start(kind)[0].trainable_modules():
        return None  # masks that are learned: the label is what they are asked for
    for mixed in (m for seed in range(4) for *_, m in mixes(kind, seed) if m.mask is not None):
        area = mixed.mask.mean(dim=(2, 3))
        b, n = divmod(int((area - mixed.lam).abs().argmax()), len(mixed.index))
        if abs(float(area[b, n] - mixed.lam[b, n])) > CLOSE:
            shown = f"slot {n} has {mixed.lam[b, n]:.2f} of a label, and its mask shows {area[b, n]:.2f} of it"
            return f"{shown}; mixed_from_mask without lam takes the label from the mask"
    return None


def contents(kind: type[MixMethod]) -> str | None:
    if kind.step is not MixMethod.step:
        return None  # it may train on other things than what mix returns
    colours = torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(3))
    x, y = colours.expand(8, 3, 8, 8).contiguous(), batch(8)[1]
    for seed in range(4):
        method, ctx = start(kind, seed)
        mixed = method.mix(x.clone(), y, ctx, method.draw(8, ctx))
        mask = mixed.lam[:, :, None, None].expand(-1, -1, 8, 8) if mixed.mask is None else mixed.mask
        wanted = sum(mask[:, n, None] * mixed.slot(n, x) for n in range(len(mixed.index)))
        gap = (mixed.x - wanted).abs().amax(dim=1)
        if gap.max() > 0.02:
            b, row, column = np.unravel_index(int(gap.argmax()), gap.shape)
            share = ", ".join(f"{part:.2f}" for part in mask[b, :, row, column].tolist())
            place = f"image {b}, row {row}, column {column}"
            return f"{place}: the slots' shares are {share}, and the pixel shows other ones; are slots exchanged?"
    return None


def _kind(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"
