"""Classifier: a backbone, its normalisation, named linear heads and a tap on hidden features, behind one `forward`.

What a reader gets wrong: images are given in [0,1] and normalised *here and nowhere else*, so that eps, corruption
severity and fill values mean the same for every model. There is one entry, `forward`, so that compile and wrappers
see every pass.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from adautomix.models.inputs import Size, batch_too_small, channels_told, check_images, pair, warn_of_pixels
from adautomix.models.layout import keep_safe, nhwc_is_safe
from adautomix.models.maps import Kept, Layout, tensor_of
from adautomix.models.modes import eval_mode
from adautomix.utils.errors import UserError


class Output(NamedTuple):
    """What a pass gives: `logits` [B,K] by head, and the tapped features [B,C,h,w] if asked for."""

    logits: dict[str, Tensor]
    tap: Tensor | None


class Classifier(nn.Module):
    """A network that takes images in [0,1] and gives the logits of every head asked for.

    Args:
        net: any module from normalised images [B,C,H,W] to features [B,D] or [B,D,h,w] (which are average-pooled), or
            to an object that holds them as `pooler_output` (transformers' models); replace its own last layer by
            nn.Identity(). `build_backbone` makes one from a timm name.
        num_classes: K, outputs of every head; 2 or more.
        tap: name of the submodule whose output is `Output.tap`, e.g. "layer3"; default: the last stage but one
            of a timm network. Swin's before its patches are merged; after: "layers.3.downsample". Maps with the
            channels last are recognised by their shape, tokens by their number.
        tap_grid: rows and columns of the tap's map, where its tokens or channels cannot be told from the shape alone.
        heads: names of the linear heads; "one" serves every method, the automix family and recursivemix add "mix".
        mean, std: a float for every channel of the images, for pixels in [0,1]: their number says how many channels.
            Mean 0 and std 1 switch normalisation off.
        image_size: side, or height and width, in px of the images to come; used once, to measure the features.
        resize: side, or height and width, in px that images are resized to on their device before the net (Swin,
            ConvNeXt on small images).
    Raises: UserError if tap names no submodule or gives no map, or if the net's input or output is not as above.
    """

    def __init__(
        self,
        net: nn.Module,
        num_classes: int,
        *,
        tap: str | None = None,
        tap_grid: tuple[int, int] | None = None,
        heads: Sequence[str] = ("one",),
        mean: Sequence[float] = IMAGENET_DEFAULT_MEAN,
        std: Sequence[float] = IMAGENET_DEFAULT_STD,
        image_size: Size = 32,
        resize: Size | None = None,
    ) -> None:
        super().__init__()
        if isinstance(net, Classifier):
            raise UserError("the network is already a Classifier; give its .net instead")
        if isinstance(heads, str):
            raise UserError(f"heads must be several names, such as ({heads!r},), got the text {heads!r}")
        if len(mean) != len(std) or not mean or not all(map(math.isfinite, [*mean, *std])) or min(std) <= 0:
            raise UserError(f"mean and std need one finite number per channel each, std above 0; got {mean} and {std}")
        if num_classes < 2:
            raise UserError(f"num_classes must be 2 or more, got {num_classes}: the softmax of one class is always 1")
        self.net, self.num_classes, self.resize = net, num_classes, resize
        self.stages = _stages(net)
        self.tap = tap if tap is not None else (self.stages[-2] if len(self.stages) > 1 else None)
        self.layout, self._kept = Layout.of(net, tap_grid), Kept()
        self.image_size, self.nhwc_is_safe = pair(image_size), nhwc_is_safe(net)
        keep_safe(net)
        # With mean 0 and std 1 somebody else normalises: nothing is known of the pixels.
        self.seen_pixels = not any(mean) and all(value == 1 for value in std)
        if self.tap is not None and self.tap not in self.stages:
            self._submodule(self.tap).register_forward_hook(self._kept)
        device = next((p.device for p in net.parameters()), torch.device("cpu"))
        self.register_buffer("mean", torch.tensor(mean, device=device).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, device=device).view(1, -1, 1, 1))
        features, self.tap_shape = self._measure(self.image_size)
        last = [module for module in net.modules() if not list(module.children())][-1]
        if isinstance(last, nn.Linear):
            warnings.warn(
                f"the network ends in {last}; its {features} outputs are taken as features. If that is its classifier, "
                "replace it by nn.Identity() first",
                stacklevel=2,
            )
        self.heads = nn.ModuleDict({name: _linear(features, num_classes) for name in heads}).to(device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Classifier":
        """Convert every tensor, as `to`, `cpu` and `half` ask for; a layout that is not safe is undone."""
        super()._apply(fn, recurse)
        keep_safe(self.net)
        return self

    def forward(
        self,
        x: Shaped[Tensor, "B C H W"],
        heads: Sequence[str] = ("one",),
        tap: bool = False,
        at: str | None = None,
        edit: Callable[[Tensor], Tensor] | None = None,
    ) -> Output:
        """Return the logits of `heads`, and the tapped features if `tap`.

        Args:
            x: images in [0,1]; not changed.
            at, edit: replace the output of submodule `at` (or the images, at="input"; or what the network gives,
                at="output") by `edit(output)`. The batch is dimension 0; the layout of the others is the network's own.
        Raises: UserError for an unknown head, a tap that was not set, images of whole numbers or of other channels, a
            batch too small for BatchNorm, or a submodule `at` that is not called once in a pass or gives no tensor.
        """
        check_images(x, self.mean.shape[1])
        if not (self.seen_pixels or x.is_meta or torch.compiler.is_compiling()):
            self.seen_pixels = True
            warn_of_pixels(x, stacklevel=2)
        if (at is None) != (edit is None):
            raise UserError("at and edit go together")
        if at == "input":
            x = edit(x)
        elif at not in (None, "output"):
            return self._edited(x, heads, tap, at, edit)
        try:
            if tap and not heads and not self.training and self.tap in self.stages:
                return Output({}, self._stage(self._normalise(x)))
            features, tapped = self._features(self._normalise(x), tap, edit if at == "output" else None)
        except ValueError as error:
            if told := batch_too_small(error, x):
                raise told from error
            raise
        return Output({name: self._head(name)(features) for name in heads}, tapped)

    @torch.compiler.disable  # a graph compiled without the hook would be used with it: images unmixed, labels mixed
    def _edited(self, x: Tensor, heads: Sequence[str], tap: bool, at: str, edit: Callable[[Tensor], Tensor]) -> Output:
        calls = 0

        def hook(module: nn.Module, given: tuple, output: Any) -> Tensor:
            nonlocal calls
            calls += 1
            if not isinstance(output, Tensor):
                raise UserError(f"submodule {at!r} gives a {type(output).__name__}, not a tensor; name another")
            return edit(output)

        # First, so that a tap of the same submodule sees what the rest of the network sees.
        handle = self._submodule(at).register_forward_hook(hook, prepend=True)
        try:
            output = self.forward(x, heads, tap)
        finally:
            handle.remove()
        if calls != 1:
            why = "; compile the Classifier, not the network in it" if hasattr(self.net, "_orig_mod") else ""
            raise UserError(f"submodule {at!r} was called {calls} times in one pass, once is needed{why}; name another")
        return output

    def _normalise(self, x: Tensor) -> Tensor:
        if self.resize is not None and x.shape[-2:] != pair(self.resize):
            x = F.interpolate(x, size=pair(self.resize), mode="bilinear", align_corners=False)
        if not self.nhwc_is_safe and x.device.type == "cpu":  # a mix may have come out in NHWC
            x = x.contiguous()
        return (x - self.mean) / self.std

    def _stage(self, x: Tensor) -> Tensor:
        """Return the tap alone, without the stages behind it; in train mode their BatchNorm would miss the batch."""
        only = {"intermediates_only": True, "stop_early": True, "output_fmt": "NCHW"}
        return self.net.forward_intermediates(x, indices=[self.stages.index(self.tap)], **only)[0]

    def _features(
        self, x: Tensor, tap: bool, edit: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the pooled features [B,D] and, if asked, the tap [B,C,h,w]."""
        if tap and self.tap is None:
            raise UserError('this Classifier has no tap: name a submodule, Classifier(net, K, tap="layer3")')
        if tap and self.tap in self.stages:
            # timm's own way: NCHW for every architecture, where a hook would give Swin's and ViT's layouts.
            whole = {"stop_early": False, "output_fmt": "NCHW"}  # Hiera alone would stop at the tap
            last, taps = self.net.forward_intermediates(x, indices=[self.stages.index(self.tap)], **whole)
            features, tapped = self.net.forward_head(last, pre_logits=True), taps[0]
        else:
            features, tapped = self._run(x, tap)
            tapped = None if tapped is None else self.layout.to_map(tapped, x.shape[-2:])
        features = features if edit is None else edit(features)
        return (features.mean(dim=(2, 3)) if features.ndim == 4 else features), tapped

    def _run(self, x: Tensor, tap: bool) -> tuple[Tensor, Tensor | None]:
        """Return what the network and, if asked, the tapped submodule give, in their own layouts."""
        self._kept.wanted, self._kept.output = tap, None  # a pass that failed may have left one
        try:
            output = self.net(x)
        finally:
            self._kept.wanted = False
        return tensor_of(output, ("pooler_output", "last_hidden_state")), self._kept.taken()

    def _measure(self, size: tuple[int, int]) -> tuple[int, tuple[int, ...] | None]:
        """Return the number of features and the tap's shape (C, h, w), from one pass over two blank images."""
        x = self._normalise(torch.zeros(2, self.mean.shape[1], *size, device=self.mean.device))
        with eval_mode(self.net), torch.no_grad(), channels_told(x):  # frozen BatchNorm stays frozen
            if self.tap is not None and self.tap not in self.stages:
                self._find_layout(x)
            given: list[Tensor] = []
            features, tapped = self._features(x, self.tap is not None, lambda output: given.append(output) or output)
            plain = features if self.tap is None else self._features(x, tap=False)[0]
        if plain.shape != features.shape:
            raise UserError(
                f"the network gives {plain.shape[1]} outputs, and {features.shape[1]} features before its own "
                "classifier: take that away first, net.reset_classifier(0)"
            )
        self.gives_map = given[0].ndim == 4
        if features.ndim != 2:
            raise UserError(
                f"the network must give features [B,D] or [B,D,h,w], got shape {tuple(features.shape)}; "
                "replace its last layer by nn.Identity(), or have tokens averaged"
            )
        return features.shape[1], None if tapped is None else tuple(tapped.shape[1:])

    def _find_layout(self, x: Tensor) -> None:
        try:
            _, tapped = self._run(x, tap=True)
            if tapped is None:
                raise UserError("nothing: the network does not call it")
            self.layout = self.layout.found_in(tapped, tuple(x.shape[-2:]))
        except UserError as error:
            raise UserError(
                f"tap={self.tap!r} gives no map that can be read: {error}. If its tokens form a grid, say which: "
                "tap_grid=(rows, columns); or name a submodule that gives [B,C,h,w]"
            ) from error

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
