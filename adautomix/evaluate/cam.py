"""Grad-CAM: where in an image a hidden layer finds the evidence for a class.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
A map shows one layer and one class: both belong beside the figure. Maps are not normalised: dividing each by its own
maximum makes a map without evidence look as sure as any other.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from adautomix.evaluate.batching import full_float32
from adautomix.evaluate.checks import channels_of, require_eval, require_gradients, require_labels, require_pixels
from adautomix.models.inputs import pair
from adautomix.models.maps import Layout, may_show
from adautomix.models.modes import require_classifier, unwrapped
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import same_random_state


@full_float32()
def grad_cam(
    model: nn.Module,
    x: Float[Tensor, "B C H W"],
    target: Int[Tensor, " B"] | None = None,
    *,
    layer: str | None = None,
    head: str = "one",
    upsample: bool = True,
) -> Float[Tensor, "B h w"]:
    """Return the Grad-CAM of every image: zero or more, in logits per feature position, not normalised.

    One forward and one gradient. The model stays as it was: no `.grad`, hook, BatchNorm statistic, train flag or random
    state changes. Works under no_grad and with frozen weights.

    Args:
        model: a Classifier in eval mode, wrapped or not.
        x: images in [0,1], on the model's device; left untouched.
        target: class ids, integers in [0,K); default: the class that `head` predicts.
        layer: submodule of the Classifier's net with output [B,C,h,w] or [B,h,w,C] (Swin); which one, a timm network
            or the Classifier's tap says, else the map's shape: it has the image's proportions. Default: the last stage
            of a timm network, else the Classifier's tap.
        upsample: enlarge the maps to H x W, bilinearly; otherwise they have the layer's h x w.
    Returns: a new float32 tensor without graph, [B,H,W] or [B,h,w].
    Raises: UserError for a model in train mode, pixels outside [0,1], class ids that do not fit, and a layer that is
        unknown, not reached, reached more than once, of another shape or far from the image's proportions, or without
        influence on the logits; and under torch.inference_mode.
    Source: Selvaraju et al. 2017, Eq. 1 (weights) and Eq. 2 (map); the gradient is of the logit, before softmax.
    """
    require_gradients()
    model = require_classifier(unwrapped(model))
    require_eval(model)
    require_pixels(x, channels_of(model))
    layer = layer or (model.stages[-1] if model.stages else model.tap)
    if layer is None:
        raise UserError('this Classifier has neither stages nor a tap: name a submodule, grad_cam(..., layer="layer4")')
    seen: list[Tensor] = []
    with same_random_state(x.device), torch.enable_grad():
        logits = model(x.detach(), heads=(head,), at=layer, edit=_keep(seen, layer)).logits[head]
        ids = logits.argmax(dim=1) if target is None else target.to(logits.device)
        require_labels(ids, *logits.shape)
        score = logits.gather(1, ids[:, None].long()).sum()
        # Writes into no .grad, unlike backward. No graph: the weights are frozen and the layer lies aside.
        gradient = torch.autograd.grad(score, seen, allow_unused=True)[0] if score.requires_grad else None
    if gradient is None:
        raise UserError(f"the logits do not depend on layer {layer!r}; name one on the way to the head")
    layout, image = _layout(model, layer), pair(model.resize or tuple(x.shape[-2:]))
    features, gradient = (_as_map(layout, part, image, layer) for part in (seen[0].detach(), gradient))
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)  # Eq. 1
    maps = (weights * features.float()).sum(dim=1).relu()  # Eq. 2
    if upsample:
        maps = F.interpolate(maps[:, None], size=x.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return maps


def _keep(seen: list[Tensor], layer: str) -> Callable[[Tensor], Tensor]:
    """Return the edit that puts a layer's output into `seen` as the start of the graph, and passes on a copy."""

    def edit(output: Tensor) -> Tensor:
        if output.ndim != 4:
            got = tuple(output.shape)
            raise UserError(f"layer {layer!r} must give features [B,C,h,w], got {got}; name one that keeps a grid")
        seen.append(output.detach().requires_grad_())  # a leaf: frozen weights have no graph of their own
        return seen[-1].clone()  # what follows may work in place, such as ReLU(inplace=True)

    return edit


def _layout(model: nn.Module, layer: str) -> Layout:
    """Return what is known of a layer's layout before its features are seen."""
    # What is declared or found speaks of blocks and stages; the convolutions in such networks are channels-first.
    if layer == "input" or isinstance(dict(model.net.named_modules()).get(layer), nn.Conv2d):
        return Layout(channels_last=False)
    return model.layout if layer == model.tap else Layout.of(model.net)


def _as_map(layout: Layout, part: Tensor, image: tuple[int, int], layer: str) -> Tensor:
    """Return features or their gradient as [B,C,h,w], the network's images being of this size (px)."""
    maps = layout.found_in(part, image).to_map(part, image)
    if not may_show(maps.shape[-2:], image):
        raise UserError(
            f"layer {layer!r} gives {tuple(part.shape)}, in which no map of images of {image[0]}x{image[1]} px is "
            'recognised; name a layer that gives [B,C,h,w], or make it the tap: Classifier(..., tap="layer", '
            "tap_grid=(rows, columns))"
        )
    return maps
