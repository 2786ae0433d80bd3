"""What the released code computes under the names FGSM and occlusion: to explain its numbers, never a headline.

Read in JinXins/Adversarial-AutoMixup (openmixup/utils/collect.py, datasets/classification.py and the occlusion tool);
neither is what its name says. Its ECE, `ece_released`, stands beside the standard one in calibration.py.
`tests/test_golden_robust.py` holds all three to arrays the authors' code produced.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from adautomix.evaluate.attacks import EPS, check_attack, loss_gradient
from adautomix.evaluate.batching import BATCH, rebatched
from adautomix.evaluate.checks import correct, require_eval, require_finite, require_images, require_pixels
from adautomix.evaluate.occlusion import RATIOS, default_grid

PATCHES = 14
"""Patches a side: the released tool is tied to 224 px and 16 px patches."""


def fgsm_released(
    model: nn.Module, x: Float[Tensor, "B 3 H W"], y: Int[Tensor, " B"], *, eps: float = EPS, head: str = "one"
) -> Float[Tensor, "B 3 H W"]:
    """Return the released "FGSM": eps is added to the *normalised* image, which is then cut to [0,1].

    In pixels the cut maps everything into [mean, mean + std]. With or without the gradient, the mean change is about
    33/255 (robustness.md 0.1): the cut, not the attack, does the damage.

    Args:
        x: pixels in [0,1]; so is what is returned, though the network never sees it but normalised.
    Raises: as `fgsm`.
    """
    check_attack(model, x, y, eps)
    gradient, logits = loss_gradient(model, x, y, head=head)
    require_finite(logits)
    normalised = (x - model.mean) / model.std  # std is positive: the gradient's sign is the same as in pixels
    return normalised.add_(gradient.sign(), alpha=eps).clamp_(0, 1) * model.std + model.mean


def patches_released(rng: np.random.RandomState, ratio: float, patches: int = PATCHES) -> Bool[Tensor, "n n"]:
    """Return which patches the released tool drops, of a whole batch: True where dropped."""
    gone = rng.choice(patches**2, round(patches**2 * ratio), replace=False)
    mask = torch.zeros(patches**2, dtype=torch.bool)
    mask[torch.from_numpy(gone)] = True
    return mask.view(patches, patches)


def occlusion_released(
    x: Float[Tensor, "B 3 H W"],
    ratio: float,
    *,
    mean: Float[Tensor, "1 3 1 1"],
    rng: np.random.RandomState,
    patches: int,
) -> Float[Tensor, "B 3 H W"]:
    """Return the images with one random set of patches, the same for the whole batch, in the mean colour.

    The released tool sets normalised pixels to 0, which is the data set's mean colour.
    """
    require_pixels(x)
    gone = patches_released(rng, ratio, patches).to(x.device)
    gone = gone.repeat_interleave(x.shape[2] // patches, dim=0).repeat_interleave(x.shape[3] // patches, dim=1)
    return torch.where(gone, mean, x)


def evaluate(model: nn.Module, batches: Iterable[Any]) -> dict[str, Any]:
    """Return what the released code would report: accuracy under its attack and its occlusion curve (%).

    Its ECE stands beside the standard one in the evaluator calibration, its mean of 19 in the evaluator corruption.
    Images are taken BATCH at a time, whatever `batches` has: each batch has masks of its own.
    Raises: UserError for a model in train mode, no images, or outputs that are not finite; and as `fgsm`.
    """
    require_eval(model)
    right, count, rng = {}, 0, np.random.RandomState(0)
    for x, y in rebatched(batches):  # one mask a batch: it must not be the loader's
        patches = default_grid(x.shape[2], x.shape[3])  # the released tool knows 224 px only
        attempts = {"fgsm": fgsm_released(model, x, y)}
        attempts |= {r: occlusion_released(x, r, mean=model.mean, rng=rng, patches=patches) for r in RATIOS}
        with torch.no_grad():
            for name, images in attempts.items():
                number = correct(model(images, heads=("one",)).logits["one"], y).sum()
                right[name] = right.get(name, 0) + int(number)
        count += len(y)
    require_images(count)
    top1 = {name: 100 * number / count for name, number in right.items()}
    curve = [{"ratio": r, "top1": top1[r], "n": count} for r in RATIOS]
    return {
        "value": {"fgsm_top1": top1["fgsm"], "fgsm_error": 100 - top1["fgsm"], "occlusion": curve},
        "settings": _settings(patches),
        "n_images": count,
        "protocol": "as the released code computes them: not FGSM, one mask a batch; see evaluate/released.py",
    }


def settings(side: int) -> dict[str, Any]:
    """Return what a result on images of this side (px) records of how it was made; UserError as `default_grid`."""
    return _settings(default_grid(side, side))


def _settings(patches: int) -> dict[str, Any]:
    return {"eps": EPS, "patches": patches, "batch_size": BATCH, "seed": 0, "head": "one", "precision": "float32"}
