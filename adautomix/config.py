"""The whole configuration of a training run, as frozen dataclasses that check themselves."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from adautomix.utils.errors import UserError, unknown
from adautomix.utils.typecheck import coerce, hint_text, matches_hint

RAND_AUGMENT = re.compile(r"rand(-(m|mmax)\d+|-n[1-9]\d*|-(p|mstd)\d+(\.\d+)?|-inc[01]|-t(weights|3a|3aw))*")
"""timm's words for RandAugment; timm itself passes over others in silence."""
RAND_AUGMENT_FORM = "timm's words joined by dashes, such as rand-m7-mstd0.5 or rand-m9-n3-mstd0.5-inc1"
LARGEST = 1e30
"""float32 ends at 3e38; of a number that does not fit, torch makes an error of its own."""
_hints = cache(get_type_hints)  # half the time of reading a config


def last_epochs(epochs: int) -> int:
    """Return of how many last epochs the median is taken: ten as in the paper; of a short run, the second half."""
    return min(10, math.ceil(epochs / 2))


class _Checked:
    """Checks every field's type when the object is made; subclasses add the ranges in `check`."""

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for f in fields(self):
            value = coerce(getattr(self, f.name), hints[f.name])  # 1 and 1.0 are one config, so one hash
            object.__setattr__(self, f.name, value)
            if not matches_hint(value, hints[f.name]):
                raise UserError(f"{f.name} must be {hint_text(hints[f.name])}, got {value!r}")
            if isinstance(value, float) and not abs(value) <= LARGEST:
                size = f" of {LARGEST:g} at most" if math.isfinite(value) else ""
                raise UserError(f"{f.name} must be a finite number{size}, got {value!r}")
        self.check()

    def check(self) -> None:
        """Raise UserError for a value outside its range."""

    def _require(self, name: str, ok: bool, allowed: str) -> None:
        if not ok:
            raise UserError(f"{name} must be {allowed}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class OptimConfig(_Checked):
    """One optimiser and its learning-rate schedule."""

    name: Literal["sgd", "adamw"] = "sgd"
    """Optimiser."""
    lr: float = 0.1
    """Peak learning rate, per step."""
    momentum: float = 0.9
    """SGD momentum; AdamW uses betas (0.9, 0.999)."""
    nesterov: bool = False
    """Nesterov momentum (SGD)."""
    weight_decay: float = 1e-4
    """Decay of every parameter: L2 for SGD, decoupled for AdamW (released CIFAR runs: 1e-4)."""
    decay_all: bool = True
    """False: biases, norms and position tables are not decayed (released transformer runs)."""
    final_lr: float = 0.0
    """Learning rate at the end of the cosine (released AdAutoMix on CIFAR: 0.05)."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up from zero before the cosine; with schedule "whole" on top of it."""
    schedule: Literal["step", "epoch", "whole", "constant"] = "step"
    """Cosine updated every step or every epoch (released CIFAR runs: epoch), or no schedule; "whole": every step, over
    the warm-up's epochs, too (released transformer runs)."""

    def check(self) -> None:
        self._require("lr", self.lr > 0, "positive")
        self._require("momentum", 0 <= self.momentum < 1, "in [0,1)")
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise UserError(f"nesterov needs sgd with momentum, got {self.name} with momentum {self.momentum}")
        self._require("weight_decay", self.weight_decay >= 0, "zero or more")
        self._require("final_lr", self.final_lr >= 0, "zero or more")
        self._require("warmup_epochs", self.warmup_epochs >= 0, "zero or more")
        if self.schedule == "constant" and (self.warmup_epochs or self.final_lr):
            raise UserError(
                "schedule='constant' has neither warm-up nor an end: warmup_epochs and final_lr must be 0, "
                f"got {self.warmup_epochs} and {self.final_lr}"
            )


@dataclass(frozen=True)
class EmaConfig(_Checked):
    """How the teacher follows the student (see `ema.py`)."""

    base: float = 0.999
    """Momentum at the start (released runs: 0.999)."""
    end: float = 0.999999
    """Momentum at the end (released: 0.999999 CIFAR and Tiny, 0.99999 others, 0.99996 transformers)."""
    scope: tuple[float, float] = (0.1, 1.0)
    """Share of all steps at which the cosine starts and ends."""
    ramp: Literal["constant", "linear"] = "constant"
    """What happens before the cosine starts."""
    warmup: bool = True
    """Cap the momentum at (1+t)/(10+t): short runs need it, the released recipes turn it off."""
    teacher_bn: Literal["ema", "batch"] = "ema"
    """The teacher's BatchNorm: averaged like its weights, or its own batch statistics (released)."""

    def check(self) -> None:
        self._require("base", 0 <= self.base <= 1, "in [0,1]")
        self._require("end", 0 <= self.end <= 1, "in [0,1]")
        self._require("scope", 0 <= self.scope[0] <= self.scope[1] <= 1, "two rising numbers in [0,1]")


@dataclass(frozen=True)
class TrainConfig(_Checked):
    """Everything that decides the result of a training run."""

    data: str = "digits"
    """Data set, by its name in DATASETS."""
    root: str | None = None
    """Where the data set lies (default: data/<name>; required for one's own: folder, csv, parquet, medmnist)."""
    size: int | None = None
    """Image side in px (default: the data set's own)."""
    per_class: int | None = None
    """Use the first n training images of every class only."""
    validation: float = 0.0
    """Share of every class's training images held out (in place of a part `val` of one's own set): their accuracy of
    each epoch is in history.csv. The weights kept are the last epoch's."""
    allow_missing_classes: bool = False
    """Test images of folder, csv or parquet may lack classes; of others they are left out. Not part of the identity."""
    method: str = "mixup"
    """Mixup method, by its name in METHODS."""
    options: dict[str, Any] = field(default_factory=dict)
    """The method's own options, such as alpha; those not given keep the paper's value."""
    backbone: str = "resnet18"
    """timm name of the network."""
    width: int | None = None
    """Channels of a ResNet's first stage (default: 64), not of its stem; 16 makes a small network for a CPU."""
    tap: str | None = None
    """Submodule whose output AutoMix's and AdAutoMix's generators see (default: the last stage but one)."""
    pretrained: bool = False
    """Start from timm's ImageNet weights."""
    drop_path: float | None = None
    """Rate of stochastic depth (default: timm's for that network; released Swin-T 0.2, ConvNeXt-T 0.3)."""
    flip: bool | None = None
    """Mirror every other training image (default: as is usual for the data set; False where left and right matter)."""
    rand_augment: str | None = None
    """RandAugment of training images in timm's words, e.g. rand-m7-mstd0.5 (released transformers; default: none)."""
    epochs: int = 10
    """Passes over the training set."""
    eval_every: int = 1
    """Evaluate after every so many epochs, and after the `last_epochs`. Not part of the run's identity."""
    batch_size: int = 100
    """Images a step, on all devices together."""
    optim: dict[str, OptimConfig] = field(default_factory=lambda: {"student": OptimConfig()})
    """An optimiser for the student and, by name, for what the method trains (default: the student's)."""
    label_smoothing: float = 0.0
    """Share of every target spread over all classes."""
    decode: Literal["cpu", "gpu"] = "cpu"
    """Where JPEGs above 64 px are decoded for training; gpu: by nvJPEG, with the same crops, rounded otherwise."""
    clip_grad: float | None = None
    """Largest gradient norm of each optimiser's parameters."""
    ema: EmaConfig = field(default_factory=EmaConfig)
    """The teacher."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs the step under autocast; the weights stay float32. In float32 NVIDIA's GPUs convolve in
    TF32, torch's default; evaluators do not."""
    eval_precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: training evaluates under autocast, for speed on GPUs; accuracies may differ by some hundredths."""
    sync_bn: bool = False
    """On several GPUs, BatchNorm normalises by the whole batch instead of each GPU's share (released: share)."""
    channels_last: bool = False
    """Memory layout NHWC: a tenth faster on a CPU, usually faster with bfloat16 on GPUs."""
    seed: int = 0
    """Seed of weights, batches, augmentation and mixing."""
    cuda_graphs: bool = False
    """On a GPU, launch a whole step at once (see `training/graphs.py`). Not part of the run's identity."""
    device: str = "auto"
    """auto (GPU if there is one), cpu, cuda, cuda:1, mps. Not part of the run's identity."""
    workers: int = 2
    """Loader processes a device, for images above 64 px; smaller sets need none. Not part of the run's identity."""

    def check(self) -> None:
        for name in ("epochs", "eval_every", "batch_size"):
            self._require(name, getattr(self, name) >= 1, "1 or more")
        for name in ("size", "per_class", "width"):
            self._require(name, getattr(self, name) is None or getattr(self, name) >= 1, "1 or more")
        self._require("validation", 0 <= self.validation < 1, "in [0,1)")
        self._require("seed", 0 <= self.seed < 2**31, "in [0, 2**31)")
        self._require("workers", self.workers >= 0, "0 or more")
        self._require("drop_path", self.drop_path is None or 0 <= self.drop_path < 1, "in [0,1)")
        self._require(
            "rand_augment", RAND_AUGMENT.fullmatch(self.rand_augment or "rand") is not None, RAND_AUGMENT_FORM
        )
        if self.decode == "gpu" and self.rand_augment is not None:
            raise UserError("decode='gpu' leaves no image on the CPU for rand_augment: use decode='cpu'")
        self._require("label_smoothing", 0 <= self.label_smoothing < 1, "in [0,1)")
        self._require("clip_grad", self.clip_grad is None or self.clip_grad > 0, "positive")
        self._require("optim", "student" in self.optim, "a mapping with the key 'student'")
        for name, optim in self.optim.items():
            if optim.warmup_epochs > self.epochs:
                raise UserError(
                    f"warmup_epochs of {name} must be no more than epochs ({self.epochs}), got {optim.warmup_epochs}: "
                    "the learning rate would never reach its peak"
                )

    def evaluates(self, epoch: int) -> bool:
        """Return whether student and teacher are evaluated after this epoch, counted from 1."""
        return epoch % self.eval_every == 0 or epoch > self.epochs - last_epochs(self.epochs)

    def optim_for(self, trainable: str) -> OptimConfig:
        """Return the settings of one trainable's optimiser: its own, or else the student's."""
        return self.optim.get(trainable, self.optim["student"])


def from_dict(cls: type, values: Mapping[str, Any]) -> Any:
    """Return a config made from plain mappings (YAML, JSON).

    Raises: UserError for an unknown key, naming the closest one, and for a value of the wrong type or range.
    """
    hints = _hints(cls)
    made = {}
    for key, value in values.items():
        if key not in hints:
            raise unknown(f"{cls.__name__} setting", key, hints)
        made[key] = _build(hints[key], value)
    return cls(**made)


def _build(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(hint, value)
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {k: _build(get_args(hint)[1], v) for k, v in value.items()}
    return value
