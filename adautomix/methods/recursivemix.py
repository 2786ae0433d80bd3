"""RecursiveMix: the last mixed batch, made small, pasted into this one; what was pasted is read as it was read then.

Yang et al.: "RecursiveMix: Mixed Learning with History", NeurIPS 2022 (arXiv 2203.06844), and its released code
(implus/RecursiveMix-pytorch: main.py, utils.py). What a reader gets wrong: the history is the *mixed* batch with its
mixed targets, so that an image may hold its ancestors one in another, and labels many classes.

Both parts are here, the recursion of images and labels and the consistency loss. Three things differ from the released
code. Its history begins anew with every epoch; here, as in the paper, a step follows a step. It resizes by the nearest
pixel unless told otherwise, here bilinearly as in ResizeMix. And a history that is shorter than the batch (the last
of an epoch) is used more than once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.ops import roi_align

from adautomix.methods.base import Draws, MixMethod, StepOutput
from adautomix.methods.context import Context
from adautomix.methods.cutmix import box_mask
from adautomix.methods.ops.losses import soft_cross_entropy
from adautomix.methods.ops.mixing import Mixed, Outside, require_batch
from adautomix.methods.resizemix import resample
from adautomix.models.ema import batch_norms
from adautomix.models.maps import Layout
from adautomix.models.modes import eval_mode, unwrapped
from adautomix.utils.errors import UserError

NO_MAP = "recursivemix's consistency loss reads the map before the average, and the network gives"
DO_WITHOUT = "do without it, omega=0, or leave the average to the Classifier"


@dataclass(frozen=True)
class RecursiveMixDraws(Draws):
    """`side` [R]: the box's side as a share of the image's; `centre` [R,2]: row and column, in [0,1). R: 1 or B."""

    side: Float[Tensor, " R"] | None = None
    centre: Float[Tensor, "R 2"] | None = None


class RecursiveMix(MixMethod):
    """x with the whole last mixed image, resized, in a box; its label by area, and its prediction for the box.

    Loss: CE(one head, x_mix, y_mix) + omega * area * CE(mix head, RoI of x_mix, softmax of the last step's logits). The
    second head, named mix as the automix family's, reads the features inside the box alone (RoI Align to 1x1). Its
    targets are what the student said of the pasted image a step ago. The paper has a KL divergence there: the same
    gradient. The first step, and one whose images are of another size than the last, mixes nothing.

    Args:
        at: the student's submodule whose output is averaged to features; "output" for what the network gives.
        layout: of that output.
        alpha: the box's area is uniform up to this share of the image's, before it is clipped at the border (0.5).
        omega: weight of the consistency loss (0.1, CIFAR; ImageNet 0.5); 0 does without.
        per_sample: draw the box for every image instead of every batch.
    """

    heads = ("one", "mix")

    def __init__(
        self,
        at: str = "output",
        layout: Layout | None = None,
        *,
        alpha: float = 0.5,
        omega: float = 0.1,
        per_sample: bool = False,
    ) -> None:
        if not 0 < alpha <= 1 or omega < 0:
            raise UserError(f"alpha must be in (0,1] and omega zero or more, got {alpha} and {omega}")
        self.at, self.layout = at, layout or Layout()
        self.alpha, self.omega, self.per_sample = alpha, omega, per_sample
        self.history: dict[str, Tensor] = {}

    @classmethod
    def init_args(cls, student: nn.Module) -> tuple[str, Layout]:
        """Return where the last features are, and their layout."""
        return (student.stages[-1] if student.stages else "output", Layout.of(student.net))

    @classmethod
    def build(cls, student: nn.Module, **options: Any) -> "RecursiveMix":
        """Return a method that fits the student; raises UserError if it gives no map that a box could be read from."""
        method, network = super().build(student, **options), unwrapped(student)
        if method.omega and method.at == "output" and not network.gives_map:
            raise UserError(f"{NO_MAP} pooled features: {DO_WITHOUT}")
        if method.omega and method.at != "output" and (norm := batch_norm_behind(network, method.at)):
            raise UserError(
                f"recursivemix's consistency loss sends the features of {method.at!r} on twice, and the BatchNorm "
                f"{norm!r} behind it would average both: do without it, omega=0"
            )
        return method

    def state_dict(self) -> dict[str, Tensor]:
        """Return the last mixed batch: x [M,C,H,W], y [M,K] and logits [M,K]; empty before the first step."""
        return dict(self.history)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a last mixed batch, or none."""
        self.history = dict(state)

    def draw(self, batch_size: int, ctx: Context) -> RecursiveMixDraws:
        """Return the box; nobody is drawn to meet whom: row b of the history goes into row b of the batch."""
        rows = batch_size if self.per_sample else 1
        rng = ctx.rng_for(self.per_sample)
        area = self.alpha * torch.rand(rows, generator=rng)
        centre = torch.rand(rows, 2, generator=rng)
        lam = torch.stack([1 - area, area], dim=1).expand(batch_size, 2)
        return RecursiveMixDraws(None, lam, area.sqrt(), centre)

    def mix(self, x: Tensor, y: Tensor, ctx: Context, draws: RecursiveMixDraws) -> Mixed:
        """Return x with the history in a box; x itself where there is no history of such images."""
        if not self.follows(x):
            return super().mix(x, y, ctx, draws)
        rows, size = self.rows(x), (x.shape[2], x.shape[3])
        old = Outside(self.history["x"].to(x), self.history["y"].to(x))
        box = self.box(x, draws)
        mask = box_mask(box, size).expand(len(x), -1, -1, -1)
        top, bottom, left, right = box.expand(len(x), 4).unbind(1)
        some = torch.stack([top, bottom.clamp(min=top + 1), left, right.clamp(min=left + 1)], dim=1)  # not of no pixel
        small = resample(old.x.index_select(0, rows), some)
        lam = mask.mean(dim=(2, 3))
        targets = lam[:, :1] * ctx.targets(y) + lam[:, 1:] * old.y.index_select(0, rows)
        index = torch.stack([torch.arange(len(x), device=x.device), rows])
        return Mixed(torch.where(mask[:, 1:].bool(), small, x), targets, lam, index, mask, {1: old})

    def box(self, x: Float[Tensor, "B C H W"], draws: RecursiveMixDraws) -> Int[Tensor, "R 4"]:
        """Return the boxes drawn, (top, bottom, left, right) in px, on the images' device."""
        side, centre = (part.to(x.device, non_blocking=True) for part in (draws.side, draws.centre))
        return pasted_boxes(side, centre, (x.shape[2], x.shape[3]))

    def follows(self, x: Float[Tensor, "B C H W"]) -> bool:
        """Return whether there is a history of images of this size."""
        return bool(self.history) and self.history["x"].shape[1:] == x.shape[1:]

    def rows(self, x: Float[Tensor, "B C H W"]) -> Int[Tensor, " B"]:
        """Return which image of the history goes into each image."""
        return torch.arange(len(x), device=x.device) % len(self.history["x"])

    def step(self, x: Tensor, y: Tensor, ctx: Context, draws: RecursiveMixDraws | None = None) -> StepOutput:
        """Return the losses of one batch; `state` is the batch as mixed now."""
        require_batch(x, y)
        self.check_context(ctx)
        draws = self.draw(len(x), ctx) if draws is None else draws
        mixed = self.mix(x, y, ctx, draws)
        terms = {}
        if self.omega and self.follows(x):
            logits, pasted = self.predictions(mixed, ctx, draws)
            before = self.history["logits"].to(logits.device).index_select(0, self.rows(x)).softmax(dim=1)
            # Weighted by what was pasted: targets that sum to lam_1 make the batch mean so.
            terms["consistency"] = self.omega * soft_cross_entropy(pasted, mixed.lam[:, 1:] * before)
        else:
            logits = ctx.student(mixed.x).logits["one"]
        terms = {"ce": soft_cross_entropy(logits, mixed.y)} | terms
        state = {"x": mixed.x, "y": mixed.y, "logits": logits.float()}
        state = {name: value.detach().clone() for name, value in state.items()}  # the loader's memory may be used again
        return StepOutput({"student": sum(terms.values())}, terms, (mixed.detach(),), draws, state=state)

    def predictions(
        self, mixed: Mixed, ctx: Context, draws: RecursiveMixDraws
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K"]]:
        """Return the logits of the images and, by the second head, those of the boxes in them, from one pass."""
        size, box = (mixed.x.shape[2], mixed.x.shape[3]), self.box(mixed.x, draws)

        def with_boxes(features: Tensor) -> Tensor:
            # A second batch of features, alike at every place: whatever averages them leaves what was in the box.
            return torch.cat([features, boxed_features(features, box, size, self.layout)])

        logits = ctx.student(mixed.x, heads=("one", "mix"), at=self.at, edit=with_boxes).logits
        return logits["one"][: len(mixed.x)], logits["mix"][len(mixed.x) :]


def batch_norm_behind(student: nn.Module, at: str) -> str:
    """Return the name of a BatchNorm that the student calls after its submodule `at`; "" if there is none."""
    found, norms = [], batch_norms(student.net)
    names = {module: name for name, module in student.net.named_modules()}
    hooks = [norm.register_forward_hook(lambda module, given, made: found.append(names[module])) for norm in norms]
    blank = torch.zeros(2, student.mean.shape[1], *student.image_size, device=student.mean.device)
    try:
        with eval_mode(student), torch.no_grad():
            student(blank, heads=(), at=at, edit=lambda features: found.clear() or features)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""


def pasted_boxes(side: Float[Tensor, " R"], centre: Float[Tensor, "R 2"], size: tuple[int, int]) -> Int[Tensor, "R 4"]:
    """Return boxes (top, bottom, left, right) in px, half-open and clipped to the image, on the device of `side`.

    CutMix's boxes, from sides in place of areas: one product in float32, which every device rounds alike; and no number
    is copied to the device, as a CUDA graph must not.
    """
    edges = []
    for axis, pixels in enumerate(size):
        middle, half = (centre[:, axis] * pixels).long(), (side * pixels).long() >> 1
        edges += [(middle - half).clamp(min=0), (middle + half).clamp(max=pixels)]
    return torch.stack(edges, dim=1)


def boxed_features(features: Tensor, box: Int[Tensor, "R 4"], size: tuple[int, int], layout: Layout) -> Tensor:
    """Return features of the same layout that hold, at every place, the mean of the map inside a box of the image.

    Raises: UserError for features that are no map: a network that gives pooled ones cannot say what is in a box.
    """
    try:
        layout = layout.found_in(features, size)
    except UserError as error:
        raise UserError(f"{NO_MAP} {error}: {DO_WITHOUT}") from error
    maps = layout.to_map(features, size)
    # In float32: bfloat16 counts images and px to 256 only.
    top, bottom, left, right = box.expand(len(maps), 4).float().unbind(1)
    # Places of the map, rows and columns by scales of their own: strided layers round up, rows of 36 px as of 64.
    rows, columns = (places / pixels for places, pixels in zip(maps.shape[2:], size, strict=True))
    image = torch.arange(len(maps), device=maps.device, dtype=torch.float32)
    corners = torch.stack([image, left * columns, top * rows, right * columns, bottom * rows], dim=1)
    with torch.autocast(maps.device.type, enabled=False):
        mean = roi_align(maps.float(), corners, (1, 1), aligned=True)
    return layout.filled_with(mean[:, :, 0, 0].to(features), features)
