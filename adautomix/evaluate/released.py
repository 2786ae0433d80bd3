"""What the released code computes under the names FGSM and occlusion: to explain its numbers, never a headline.

Read in JinXins/Adversarial-AutoMixup (openmixup/utils/collect.py, datasets/classification.py and the occlusion tool);
neither is what its name says. Its ECE, `ece_released`, stands beside the standard one in calibration.py.
`tests/evaluate/test_golden_robust.py` holds all three to arrays the authors' code produced.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from adautomix.evaluate.attacks import EPS, check_attack, loss_gradient
from adautomix.evaluate.batching import BATCH, count_right, fixed_batches, full_float32, logits_of
from adautomix.evaluate.checks import require_finite
from adautomix.evaluate.occlusion import RATIOS, default_grid, fill_patches
from adautomix.models.modes import unwrapped


@full_float32()
def fgsm_released(
    model: nn.Module, x: Float[Tensor, "B C H W"], y: Int[Tensor, " B"], *, eps: float = EPS
) -> Float[Tensor, "B C H W"]:
    """Return the released "FGSM": eps is added to the *normalised* image, which is then cut to [0,1].

    In pixels the cut maps everything into [mean, mean + std]. With or without the gradient, the mean change is about
    33/255: the cut, not the attack, does the damage.

    Args:
        x: pixels in [0,1]; so is what is returned, though the network never sees it but normalised.
    Raises: as `fgsm`.
    """
    check_attack(model, x, y, eps)
    gradient, logits = loss_gradient(model, x, y)
    require_finite(logits)
    mean, std = unwrapped(model).mean, unwrapped(model).std
    normalised = (x - mean) / std  # std is positive: the gradient's sign is the same as in pixels
    return normalised.add_(gradient.sign(), alpha=eps).clamp_(0, 1) * std + mean


def patches_released(rng: np.random.RandomState, ratio: float, patches: int) -> Bool[Tensor, "n n"]:
    """Return which of n x n patches the released tool drops, of a whole batch: True where dropped."""
    gone = rng.choice(patches**2, round(patches**2 * ratio), replace=False)
    mask = torch.zeros(patches**2, dtype=torch.bool)
    mask[torch.from_numpy(gone)] = True
    return mask.view(patches, patches)


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return what the released code would report: accuracy under its attack and its occlusion curve (%).

    The occlusion sets patches of normalised images to 0, the data set's mean colour, with one mask a batch. Images are
    therefore taken BATCH at a time, whatever `batches` has. The released ECE stands beside the standard one in the
    evaluator calibration, the mean of 19 in the evaluator corruption.
    Raises: UserError for a model in train mode, no images, or outputs that are not finite; and as `fgsm`.
    """
    rng = np.random.RandomState(0)

    def versions(x: Tensor, y: Tensor, index: Tensor) -> Iterator[tuple[str | float, Tensor]]:
        patches = default_grid(*x.shape[2:])  # the released tool knows 14 at 224 px only
        yield "fgsm", logits_of(model, fgsm_released(model, x, y))
        for ratio in RATIOS:
            gone = patches_released(rng, ratio, patches)[None]
            yield ratio, logits_of(model, fill_patches(x, gone, unwrapped(model).mean))

    counts = count_right(model, fixed_batches(batches), versions)
    curve = [{"ratio": ratio, "top1": counts.top1(ratio), "n": counts.n} for ratio in RATIOS]
    top1 = counts.top1("fgsm")
    return {
        "value": {"fgsm_top1": top1, "fgsm_error": 100 - top1, "occlusion": curve},
        "settings": settings(*counts.size),
        "n_images": counts.n,
        "protocol": "as the released code computes them: not FGSM, one mask a batch; see evaluate/released.py",
    }


def settings(height: int, width: int | None = None) -> dict[str, Any]:
    """Return what a result on images of this size (px; square by default) records; UserError as `default_grid`."""
    common = {"batch_size": BATCH, "seed": 0, "head": "one", "precision": "float32"}
    return {"eps": EPS, "patches": default_grid(height, width or height)} | common
