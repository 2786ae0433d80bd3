"""Classifier: a backbone, its normalisation, named linear heads and a tap on hidden features, behind one `forward`.

What a reader gets wrong: images are given in [0,1] and normalised *here and nowhere else*, so that eps, corruption
severity and fill values mean the same for every model. There is one entry, `forward`, so that compile and wrappers
see every pass.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from adautomix.models.modes import eval_mode
from adautomix.utils.errors import UserError


class Output(NamedTuple):
    """What a pass gives: `logits` [B,K] by head, and the tapped features [B,C,h,w] if asked for."""

    logits: dict[str, Tensor]
    tap: Tensor | None


class Classifier(nn.Module):
    """A network that takes images in [0,1] and gives the logits of every head asked for.

    Args:
        net: any module from normalised images [B,3,H,W] to features [B,D] or [B,D,h,w] (which are average-pooled);
            replace its own last layer by nn.Identity(). `build_backbone` makes one from a timm name.
        num_classes: K, outputs of every head.
        tap: name of the submodule whose output is `Output.tap`, e.g. "layer3"; default: the last stage but one
            of a timm network. Swin's before its patches are merged; after: "layers.3.downsample".
        heads: names of the linear heads; "one" serves every method, the automix family adds "mix".
        mean, std: three floats each, for pixels in [0,1]. Mean 0 and std 1 switch normalisation off.
        image_size: side in px of the images to come; used once, to measure the features.
        resize: side in px that images are resized to on their device before the net (Swin, ConvNeXt on small images).
    Raises: UserError if tap names no submodule, or if the net's output is not as above.
    """

    def __init__(
        self,
        net: nn.Module,
        num_classes: int,
        *,
        tap: str | None = None,
        heads: Sequence[str] = ("one",),
        mean: Sequence[float] = IMAGENET_DEFAULT_MEAN,
        std: Sequence[float] = IMAGENET_DEFAULT_STD,
        image_size: int = 32,
        resize: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(net, Classifier):
            raise UserError("the network is already a Classifier; give its .net instead")
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise UserError(f"mean and std need three numbers each, std positive; got {mean} and {std}")
        self.net, self.num_classes, self.resize = net, num_classes, resize
        self.stages = _stages(net)
        self.tap = tap if tap is not None else (self.stages[-2] if len(self.stages) > 1 else None)
        if self.tap is not None:
            self._submodule(self.tap)
        device = next((p.device for p in net.parameters()), torch.device("cpu"))
        self.register_buffer("mean", torch.tensor(mean, device=device).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, device=device).view(1, 3, 1, 1))
        features, self.tap_shape = self._measure(image_size)
        last = [module for module in net.modules() if not list(module.children())][-1]
        if isinstance(last, nn.Linear):
            warnings.warn(
                f"the network ends in {last}; its {features} outputs are taken as features. If that is its classifier, "
                "replace it by nn.Identity() first",
                stacklevel=2,
            )
        self.heads = nn.ModuleDict({name: _linear(features, num_classes) for name in heads}).to(device)

    def forward(
        self,
        x: Shaped[Tensor, "B 3 H W"],
        heads: Sequence[str] = ("one",),
        tap: bool = False,
        at: str | None = None,
        edit: Callable[[Tensor], Tensor] | None = None,
    ) -> Output:
        """Return the logits of `heads`, and the tapped features if `tap`.

        Args:
            x: images in [0,1]; not changed.
            at, edit: replace the output of submodule `at` (or the images, at="input") by `edit(output)`. The
                batch is dimension 0; the layout of the others is the network's own.
        Raises: UserError for an unknown head, a tap that was not set, or images of whole numbers.
        """
        if not x.is_floating_point():
            raise UserError(f"images must be float in [0,1], got {x.dtype}: divide by 255")
        if (at is None) != (edit is None):
            raise UserError("at and edit go together")
        if at == "input":
            x = edit(x)
        elif at is not None:
            hook = self._submodule(at).register_forward_hook(lambda module, inputs, output: edit(output))
            try:
                return self.forward(x, heads, tap)
            finally:
                hook.remove()
        if tap and not heads and not self.training and self.tap in self.stages:
            return Output({}, self._stage(self._normalise(x)))
        features, tapped = self._features(self._normalise(x), tap)
        return Output({name: self._head(name)(features) for name in heads}, tapped)

    def _normalise(self, x: Tensor) -> Tensor:
        if self.resize is not None and x.shape[-2:] != (self.resize, self.resize):
            x = F.interpolate(x, size=(self.resize, self.resize), mode="bilinear", align_corners=False)
        return (x - self.mean) / self.std

    def _stage(self, x: Tensor) -> Tensor:
        """Return the tap alone, without the stages behind it; in train mode their BatchNorm would miss the batch."""
        only = {"intermediates_only": True, "stop_early": True, "output_fmt": "NCHW"}
        return self.net.forward_intermediates(x, indices=[self.stages.index(self.tap)], **only)[0]

    def _features(self, x: Tensor, tap: bool) -> tuple[Tensor, Tensor | None]:
        """Return the pooled features [B,D] and, if asked, the tap [B,C,h,w]."""
        if tap and self.tap is None:
            raise UserError('this Classifier has no tap: name a submodule, Classifier(net, K, tap="layer3")')
        if self.stages and tap and self.tap in self.stages:
            # timm's own way: NCHW for every architecture, where a hook would give Swin's and ViT's layouts.
            last, taps = self.net.forward_intermediates(x, indices=[self.stages.index(self.tap)], output_fmt="NCHW")
            return self.net.forward_head(last, pre_logits=True), taps[0]
        seen: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if getattr(self.net, "output_fmt", "NCHW") == "NHWC":  # timm's Swin
                output = output.permute(0, 3, 1, 2)
            seen.append(output.clone())  # what follows may work in place, such as ReLU(inplace=True)

        hook = None
        if tap:
            hook = self._submodule(self.tap).register_forward_hook(keep)
        try:
            features = self.net(x)
        finally:
            if hook is not None:
                hook.remove()
        if features.ndim == 4:
            features = features.mean(dim=(2, 3))
        return features, seen[0] if seen else None

    def _measure(self, image_size: int) -> tuple[int, tuple[int, ...] | None]:
        """Return the number of features and the tap's shape (C, h, w), from one pass over two blank images."""
        with eval_mode(self.net), torch.no_grad():  # a net that comes with frozen BatchNorm keeps it frozen
            x = self._normalise(torch.zeros(2, 3, image_size, image_size, device=self.mean.device))
            features, tapped = self._features(x, tap=self.tap is not None)
        if features.ndim != 2:
            raise UserError(
                f"the network must give features [B,D] or [B,D,h,w], got shape {tuple(features.shape)}; "
                "replace its last layer by nn.Identity()"
            )
        return features.shape[1], None if tapped is None else tuple(tapped.shape[1:])

    def _submodule(self, name: str) -> nn.Module:
        try:
            return self.net.get_submodule(name)
        except AttributeError:
            names = ", ".join(name for name, _ in self.net.named_children())
            raise UserError(f"the network has no submodule {name!r}; its children are: {names}") from None

    def _head(self, name: str) -> nn.Module:
        if name not in self.heads:
            raise UserError(
                f"this Classifier has no head {name!r}, only {', '.join(self.heads)}; "
                f'make it with heads=("one", {name!r})'
            )
        return self.heads[name]


def _stages(net: nn.Module) -> tuple[str, ...]:
    # timm's feature_info lists the modules in the order forward_intermediates counts them.
    if hasattr(net, "feature_info") and hasattr(net, "forward_intermediates"):
        return tuple(stage["module"] for stage in net.feature_info)
    return ()


def _linear(features: int, num_classes: int) -> nn.Linear:
    head = nn.Linear(features, num_classes)
    nn.init.normal_(head.weight, std=0.01)  # the released runs' heads: N(0, 0.01), bias 0
    nn.init.zeros_(head.bias)
    return head
