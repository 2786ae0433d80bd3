"""A plain method as a mixer of batches, called as timm's Mixup is: for a training script that is not ours.

What a reader gets wrong: such scripts mix images that are normalised already. A convex mix does not mind; what is
salient (SaliencyMix) is then found in normalised colours.
"""

from typing import Any

import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor, nn

from adautomix.config import EmaConfig
from adautomix.methods import METHODS
from adautomix.methods.base import MixMethod
from adautomix.methods.context import Context
from adautomix.methods.ops.mixing import require_batch
from adautomix.utils.errors import UserError


class BatchMixer:
    """`mixer(x, y)` returns mixed images and soft targets, as timm.data.Mixup does, of any method that only mixes.

    A new object draws as a run of the trainer does that has the same seed of mixing.

    Args:
        method: its name in METHODS. Not one that asks or trains a network, or builds on the step before.
        num_classes: K of the targets.
        label_smoothing: share of every target spread over all classes.
        seed: of what is drawn; in distributed training give every process another.
        options: the method's own; those not given keep the paper's value.

    Attributes:
        mixup_enabled: set False to get images as they are, with smoothed targets (timm's --mixup-off-epoch does).

    Raises: UserError for an unknown method or option, a method that needs more than a batch, and for classes or a
        smoothing that give no targets.
    """

    def __init__(
        self, method: str, num_classes: int, *, label_smoothing: float = 0.0, seed: int = 0, **options: Any
    ) -> None:
        kind = METHODS[method]
        if not only_mixes(kind):
            known = ", ".join(name for name in METHODS if only_mixes(METHODS[name]))
            raise UserError(f"{method} needs more than a batch: train with its `step`. Those that only mix are {known}")
        if num_classes < 2:
            raise UserError(f"num_classes must be 2 or more, got {num_classes}")
        self.method: MixMethod = kind(**kind.resolve(options))
        rng = torch.Generator().manual_seed(seed)
        nobody = nn.Identity()  # neither student nor teacher is looked at
        self.context = Context(nobody, nobody, rng, 1, EmaConfig(), num_classes, label_smoothing)
        self.mixup_enabled = True

    def __call__(
        self, x: Shaped[Tensor, "B C H W"], target: Integer[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B K"]]:
        """Return mixed images and soft targets, new tensors; x is left untouched.

        Raises: UserError for images of whole numbers, or targets that are no class ids.
        """
        require_batch(x, target)
        method = self.method if self.mixup_enabled else MixMethod()
        mixed = method.mix(x, target, self.context, method.draw(len(x), self.context))
        return mixed.x.clone() if mixed.x is x else mixed.x, mixed.y


def only_mixes(kind: type[MixMethod]) -> bool:
    """Return whether a method's step is the common one, on images mixed without asking a network."""
    return kind.step is MixMethod.step and not kind.asks_student
