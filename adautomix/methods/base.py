"""What every mixup method is, and what it may look at.

A method draws (`draw`), mixes (`mix`) and turns a batch into losses (`step`). The trainer knows nothing else about
it. Any step can be replayed: give `step` the draws of an earlier one.
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_type_hints

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from adautomix.methods.context import Context
from adautomix.methods.ops.losses import soft_cross_entropy
from adautomix.methods.ops.mixing import Mixed, require_batch
from adautomix.models.modes import require_classifier, unwrapped
from adautomix.utils.errors import UserError, unknown
from adautomix.utils.typecheck import coerce, hint_text, matches_hint

PLAIN = (bool, int, float, str, type(None))
"""What an option may be: a shell, YAML and a Run's config say it alike."""
LEAST_ALPHA = 0.01
"""Below it, both of torch's gamma draws may underflow: at 0.001 a quarter of the shares were 0.5, and not 0 or 1."""


@dataclass(frozen=True)
class Draws:
    """The randomness of one step; methods add fields. On the CPU, and independent of the image size.

    Attributes:
        index: [N,B] long, which image fills each slot.
        lam: [B,N], the mixing ratios asked for (a cut-and-paste method may end up with slightly others).
    """

    index: Int[Tensor, "N B"] | None = None
    lam: Float[Tensor, "B N"] | None = None


@dataclass(frozen=True)
class StepOutput:
    """What a step gives.

    Attributes:
        losses: one scalar for every optimiser to step now: "student", and names of `trainable_modules()`.
        graph_terms: every loss term by name, with its graph; `terms` are the same, detached, for logs and tests.
        mixed: every Mixed that was used, detached.
        draws: the randomness used; give it back to `step` to replay it.
        summands: for a loss in `losses` that is a sum of terms from passes of their own, those terms, last pass first.
            They share no graph with one another or with another loss, so that their gradients can be added at once.
        metrics: what is watched but not trained on, by name, e.g. mask_entropy; detached.
        state: what the method's state becomes, detached tensors by name; `step` itself changes nothing. Once the
            optimiser has stepped, give it to `method.load_state_dict`. Empty for methods without a state.
    """

    losses: dict[str, Tensor]
    graph_terms: dict[str, Tensor]
    mixed: tuple[Mixed, ...] = ()
    draws: Draws = field(default_factory=Draws)
    metrics: dict[str, Tensor] = field(default_factory=dict)
    summands: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)

    @property
    def terms(self) -> dict[str, Tensor]:
        """Every loss term by name, detached."""
        return {name: term.detach() for name, term in self.graph_terms.items()}


class MixMethod:
    """Base of all methods, and by itself Vanilla: no mixing, cross-entropy on the `one` head.

    Options are the keyword-only arguments of a subclass's constructor; each has a default, the paper's value: a number,
    a text, true or false, or None where the annotation says what else it may be.
    A method never keeps student or teacher as an attribute.
    """

    heads: tuple[str, ...] = ("one",)
    """Heads the Classifier must have."""
    runs_teacher: bool = False
    """Whether `step` makes passes through the teacher."""
    asks_student: bool = False
    """Whether `mix` asks the student where to mix."""

    @classmethod
    def build(cls, student: nn.Module, **options: Any) -> "MixMethod":
        """Return a method that fits `student`, which it does not keep; the student may be wrapped.

        Raises: UserError for an unknown or wrong option, or a student without the heads it needs.
        """
        student = require_classifier(unwrapped(student))
        if missing := [head for head in cls.heads if head not in student.heads]:
            raise UserError(f"{cls.__name__} needs heads {missing}: make the Classifier with heads={cls.heads}")
        return cls(*cls.init_args(student), **cls.resolve(options))

    @classmethod
    def init_args(cls, student: nn.Module) -> tuple[int, ...]:
        """Return the constructor's positional arguments, which follow from the student."""
        return ()

    @classmethod
    def resolve(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option, the given ones checked and the others at their default."""
        parameters = inspect.signature(cls).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if held := [key for key, default in defaults.items() if not isinstance(default, PLAIN)]:
            raise UserError(
                f"{cls.__name__}({held[0]}={defaults[held[0]]!r}): an option is a number, a text, true, "
                "false or None, which a shell and YAML can say; make several of it"
            )
        hints = {key: type(default) for key, default in defaults.items()}
        if None in defaults.values():  # says nothing of what else it may be
            hints |= {key: hint for key, hint in get_type_hints(cls.__init__).items() if defaults.get(key, 0) is None}
        name = cls.__name__.lower()
        for key, value in options.items():
            if key not in defaults:
                raise unknown(f"option of {name}", key, defaults)
            if not matches_hint(value, hints[key]):
                like = f"like its default {defaults[key]!r}" if defaults[key] is not None else hint_text(hints[key])
                raise UserError(f"{key} of {name} must be {like}, got {value!r}")
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{key} of {name} must be a finite number, got {value!r}")
        return defaults | {key: coerce(value, hints[key]) for key, value in options.items()}

    def trainable_modules(self) -> dict[str, nn.Module]:
        """Return the modules that the method trains beside the student, by name."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the method carries from step to step, for a checkpoint; the trainable modules are not in it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state: of a checkpoint, or the `state` of a step whose update was made. It may be shared."""

    def draw(self, batch_size: int, ctx: Context) -> Draws:
        """Return the randomness of one step, from `ctx.rng`, and for each image from `ctx.image_rng`."""
        return Draws()

    def decided(self, draws: Draws, step: int) -> Draws:
        """Return the draws with all that `step` would look up in them, or take from the number of the step.

        With them it makes the same calls whatever the tensors hold: they may be on a GPU, and need not be waited for.
        """
        return draws

    def mix(self, x: Float[Tensor, "B C H W"], y: Int[Tensor, " B"], ctx: Context, draws: Draws) -> Mixed:
        """Return the mixed batch; x is in [0,1] and is left untouched."""
        batch = torch.arange(len(x), device=x.device)[None]
        return Mixed(x, ctx.targets(y), torch.ones(len(x), 1, device=x.device), batch)

    def step(
        self,
        x: Float[Tensor, "B C H W"],
        y: Shaped[Tensor, " _"],
        ctx: Context,
        draws: Draws | None = None,
    ) -> StepOutput:
        """Return the losses of one batch, with their graph; nothing is updated, the method's own state neither.

        Args:
            x: images in [0,1] on the student's device.
            y: class ids.
            draws: randomness of an earlier step to replay; drawn from `ctx.rng` if not given.
        Raises: UserError for images or labels that are no batch, and labels out of range (on the CPU).
        """
        require_batch(x, y)
        self.check_context(ctx)
        draws = self.draw(len(x), ctx) if draws is None else draws
        mixed = self.mix(x, y, ctx, draws)
        loss = soft_cross_entropy(ctx.student(mixed.x).logits["one"], mixed.y)
        return StepOutput({"student": loss}, {"ce": loss}, (mixed.detach(),), draws)

    def check_context(self, ctx: Context) -> None:
        """Raise UserError for a teacher whose BatchNorm is moved by passes of its own, if this method makes none."""
        if ctx.ema.teacher_bn == "batch" and not self.runs_teacher:
            raise UserError(
                f"ema.teacher_bn='batch' needs a method that runs the teacher; {type(self).__name__.lower()} does not, "
                "use 'ema'"
            )


def draws_near(method: MixMethod, batch_size: int, ctx: Context, tries: int = 30, share: float = 0.65) -> Draws:
    """Return, of several draws, the one whose first share is closest to `share`: near 0 or 1 a figure shows little."""
    draws = [method.draw(batch_size, ctx) for _ in range(tries)]
    return min(draws, key=lambda d: 0.0 if d.lam is None else abs(float(d.lam[0, 0]) - share))


def paired(draws: Draws, count: int) -> Draws:
    """Return draws in which image b meets b + 1 (and b + 2, ...), so that pictures of several methods show the same.

    As they are where a method does not draw who meets whom.
    """
    if draws.index is None:
        return draws
    partners = [torch.arange(count).roll(-n) for n in range(len(draws.index))]
    return replace(draws, index=torch.stack(partners))


def check_alpha(alpha: float) -> float:
    """Return alpha; raises UserError unless it is a Beta parameter that torch can draw from."""
    if not alpha >= LEAST_ALPHA:
        raise UserError(f"alpha must be positive ({LEAST_ALPHA} or more), got {alpha}; for no mixing use vanilla")
    return alpha
