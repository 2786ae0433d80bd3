"""What the released runs of every column of Tables 1 and 2 set; what is not stated keeps TrainConfig's default.

Sources, beside each group: the authors' configurations and logs (JinXins/Adversarial-AutoMixup) and those of its base
library (Westlake-AI/openmixup), which carries the other methods. Each log carries the configuration of its run; where
that and the repository's configuration file disagree, the log is followed, and the comment says so. Departures, in
every column: crops are resized bilinearly (released: bicubic for ImageNet and Tiny-ImageNet), fine-grained ones
straight from the file (released: from its shorter side made 256 px); AutoMix's mask penalty stays at 0.1 (released
outside CIFAR and Tiny-ImageNet: falls to 0); PuzzleMix's blocks on ImageNet are our choice, as on the fine-grained
sets. Most logs are of a class Adaptivemix, which was not published; their configurations do not give its beta, and
there it is the configuration file's. Their first losses are not those of the released objective with that beta:
notebook 40 works out which would fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adautomix.config import EmaConfig, OptimConfig, TrainConfig


@dataclass(frozen=True)
class Column:
    """What the runs of a column share, and by method in what they differ.

    Attributes:
        base: of every method.
        options: of the method, where they are not its default.
        student: settings of the student's optimiser where they are not the base's.
        generator: settings of the generator's optimiser where they are not the student's.
        clip_grad: largest gradient norm where it is not the base's.
        tap: what the generators see, where it is not the last stage but one.
    """

    base: TrainConfig
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    student: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    generator: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clip_grad: Mapping[str, float] = field(default_factory=dict)
    tap: str | None = None


def with_student(config: TrainConfig, **settings: Any) -> TrainConfig:
    """Return a config whose student's optimiser has other settings."""
    return replace(config, optim={"student": replace(config.optim["student"], **settings)})


def column(like: Column, *, data: str | None = None, backbone: str, **changes: Mapping[str, Any]) -> Column:
    """Return a column like another with its own data set and network; `changes` add to what is there by method."""
    base = replace(like.base, data=data or like.base.data, backbone=backbone)
    return replace(like, base=base, **{name: getattr(like, name) | more for name, more in changes.items()})


IMAGES = {
    "cifar100": (100, 50_000),
    "tiny_imagenet": (200, 100_000),
    "imagenet": (1000, 1_281_167),
    "cub200": (200, 5_994),
    "aircraft": (100, 6_667),
    "cars": (196, 8_144),
}
"""Classes and training images of every data set: a run on a part of them is not of its column."""
RESNEXT = "resnext50_32x4d"
ENDS_HIGH = {"final_lr": 0.05}
SGD_GENERATOR = {"lr": 0.1, "final_lr": 0.001}

# CIFAR-100, ResNets: 32 px, crop after reflect padding, flip; cosine by epoch. cifar100/adautomix/basic/*,
# cifar100/automix/basic/*_L1_01_mlr5e_2, cifar100/mixups/basic/*; log CIFAR100/adautomix_r18_800e. The log of
# ResNeXt-50, CIFAR100/adautomix_rx50_800e, ends its rates at 0.08, the configuration file at 0.05.
CIFAR = Column(
    TrainConfig(
        data="cifar100",
        epochs=800,
        batch_size=100,
        optim={"student": OptimConfig(schedule="epoch")},
        ema=EmaConfig(warmup=False),
    ),
    student={"automix": ENDS_HIGH, "adautomix": ENDS_HIGH},
)

# Tiny-ImageNet: 64 px, random resized crop, flip. tiny_imagenet/adautomix/basic/*, automix/basic/*_mlr1e_3_bb_mlr5e_2.
# The two AdAutoMix configurations differ: ResNet-18's rates end at 0, ResNeXt-50's at 0.05 and 0.001.
TINY = Column(
    replace(with_student(CIFAR.base, lr=0.2), data="tiny_imagenet", epochs=400),
    options={"adautomix": {"beta": 0.4}},
    student={"automix": ENDS_HIGH},
    generator={"automix": SGD_GENERATOR, "adautomix": {"lr": 0.1}},
)

# PuzzleMix at 224 px: 2, 4 or 8 blocks a side, moved whole. cub200/mixups/basic/r18_mixups_CE_none.
LARGE_PUZZLE = {"max_blocks": 8, "t_size": -1}

# ImageNet-1K: 224 px, random resized crop, flip; 256 images a step. imagenet/adautomix/basic/*,
# automix/basic/*_near_lam_cat_mb_mlr1e_3_bb_mlr0.
IMAGENET_ADAUTOMIX = {"n_mix": 2, "beta": 0.1, "lam_channel": True}
IMAGENET = Column(
    replace(
        CIFAR.base, data="imagenet", epochs=100, batch_size=256, ema=EmaConfig(end=0.99999, warmup=False), workers=8
    ),
    options={"puzzlemix": LARGE_PUZZLE, "automix": {"lam_channel": True}, "adautomix": IMAGENET_ADAUTOMIX},
    generator={"automix": SGD_GENERATOR, "adautomix": SGD_GENERATOR},
)

# Fine-grained: 224 px, ImageNet weights, random resized crop of half the area or more. {cub200,aircrafts,cars}/*. "tv"
# weights are torchvision's, which the released runs start from. The logs of AutoMix (Cars, CUB ResNet-50) train the
# generator at 0.1, ending at 0.001; OpenMixup's configurations, at 0.01 and 5e-4.
FINE_ADAUTOMIX = {"beta": 0.5, "lam_channel": True}
FINE = Column(
    replace(
        with_student(IMAGENET.base, lr=0.001, weight_decay=5e-4), epochs=200, batch_size=16, pretrained=True, workers=4
    ),
    options={"puzzlemix": LARGE_PUZZLE, "automix": {"lam_channel": True}, "adautomix": FINE_ADAUTOMIX},
    generator={"automix": {"lr": 0.01, "final_lr": 5e-4}, "adautomix": SGD_GENERATOR},
)

# Swin-T and ConvNeXt-T on CIFAR-100. Swin-T: log CIFAR100/adautomix_swin_200e (three images always, margin 0.03, the
# generator after the patches are merged: 7x7; cifar100/vit/swin_t_adautomix_nearest has N of 2 and 3 and no margin),
# automix/vits/swin_*, mixups/vits/swin_t_mixups_sz224_bs100. It sees 224 px: the released code enlarges crops of 0.8 of
# the area or more, then augments and mixes; ours crops, augments and mixes at 32 px and enlarges what the network sees.
# The log adds up the gradients of two halves of a batch, an adversarial and a plain one; ours takes turns batch by
# batch. ConvNeXt-T: log CIFAR100/adautomix_convnext_200e (32 px through a 3x3 stem, three images always, lr 0.002,
# generator 5e-4 to 5e-5, no clipping); AutoMix's and the plain methods' rates are those of automix/vits/convnext_t_*
# and mixups/vits/convnext_t_mixups_bs100. Both logs say switch_off=0.8, which in OpenMixup's code leaves the
# generator's loss out of a random fifth of the steps (no hook anneals it there). Neither shows it: Swin-T's losses lie
# 0.013 around a smooth curve, where leaving out a fifth of them would scatter a window by 0.18, and ConvNeXt-T's
# configuration (find_unused_parameters=False) would have stopped it. So the recipes have no switch_off. RandAugment is
# timm's (released: another list of operations, same count, magnitude and spread).
TRANSFORMER = Column(
    replace(
        with_student(
            CIFAR.base,
            name="adamw",
            lr=5e-4,
            weight_decay=0.05,
            decay_all=False,
            final_lr=1e-6,
            warmup_epochs=20.0,
            schedule="whole",
        ),
        epochs=200,
        label_smoothing=0.1,
        rand_augment="rand-m7-mstd0.5",
        drop_path=0.2,
        ema=EmaConfig(end=0.99996, scope=(0.25, 1.0), warmup=False),
    ),
    options={
        "mixup": {"alpha": 0.8},
        "cutmix": {"alpha": 2.0},
        "fmix": {"alpha": 1.0},
        "puzzlemix": {"alpha": 2.0},
        "automix": {"lam_channel": True},
        "adautomix": {"mode": "nearest", "lam_channel": True},
    },
    student={"automix": {"final_lr": 1e-4}, "adautomix": {"final_lr": 1e-4}},
    generator={"automix": {"lr": 0.001}, "adautomix": {"lr": 0.001}},
)
CONVNEXT = replace(
    TRANSFORMER,
    base=replace(with_student(TRANSFORMER.base, lr=0.001), drop_path=0.3),
    student={"automix": {"lr": 0.002, "final_lr": 1e-4}, "adautomix": {"lr": 0.002, "final_lr": 1e-4}},
    generator={"automix": {"lr": 0.002}, "adautomix": {"lr": 5e-4, "final_lr": 5e-5}},
)
SWIN_MERGED = "layers.3.downsample"
ENDS_HIGHER = {"final_lr": 0.08}
AUTOMIX_LOGGED = {"automix": SGD_GENERATOR}

COLUMNS: dict[str, Column] = {
    "cifar100_resnet18": column(CIFAR, backbone="resnet18"),
    "cifar100_resnext50": column(CIFAR, backbone=RESNEXT, student={"adautomix": ENDS_HIGHER}),
    "cifar100_swin_t": column(
        replace(TRANSFORMER, base=replace(TRANSFORMER.base, clip_grad=5.0), tap=SWIN_MERGED),
        backbone="swin_tiny_patch4_window7_224",
        options={"puzzlemix": {"alpha": 2.0} | LARGE_PUZZLE},
        clip_grad={"automix": 10.0, "adautomix": 10.0},
    ),
    "cifar100_convnext_t": column(CONVNEXT, backbone="convnext_tiny"),
    "tiny_imagenet_resnet18": column(TINY, backbone="resnet18"),
    "tiny_imagenet_resnext50": column(
        TINY, backbone=RESNEXT, student={"adautomix": ENDS_HIGH}, generator={"adautomix": SGD_GENERATOR}
    ),
    "imagenet_resnet18": column(IMAGENET, backbone="resnet18"),
    "imagenet_resnet34": column(IMAGENET, backbone="resnet34"),
    "imagenet_resnet50": column(
        IMAGENET, backbone="resnet50", options={"adautomix": IMAGENET_ADAUTOMIX | {"norm": "batch"}}
    ),
    "cub200_resnet18": column(  # the log's own margin and weight of the plain mixture
        FINE,
        data="cub200",
        backbone="resnet18.tv_in1k",
        options={"adautomix": FINE_ADAUTOMIX | {"margin": 0.0, "alpha_loss": 0.0}},
    ),
    "cub200_resnet50": column(
        FINE,
        data="cub200",
        backbone="resnet50.tv_in1k",
        options={"adautomix": FINE_ADAUTOMIX | {"beta": 0.1}},
        generator=AUTOMIX_LOGGED,
    ),
    "aircraft_resnet18": column(  # the log has N = 2 and no lam channel, its later configuration N of 2 and 3 and one
        FINE,
        data="aircraft",
        backbone="resnet18.tv_in1k",
        options={"adautomix": {"beta": 0.3, "n_mix": 2, "margin": 0.0}},
        student={"adautomix": {"final_lr": 5e-4}},
    ),
    "aircraft_resnext50": column(  # the log has N = 2, its later configuration N of 2 and 3
        FINE,
        data="aircraft",
        backbone=f"{RESNEXT}.tv_in1k",
        options={"adautomix": {"beta": 0.6, "lam_channel": True, "n_mix": 2}},
    ),
    "cars_resnet18": column(  # the log has N = 2 and beta 0.3, the configuration file N = 3 and 0.5
        FINE,
        data="cars",
        backbone="resnet18.tv_in1k",
        options={
            "automix": {"lam_channel": True, "margin": 0.0},
            "adautomix": {"beta": 0.3, "lam_channel": True, "n_mix": 2},
        },
        generator=AUTOMIX_LOGGED,
    ),
    "cars_resnext50": column(  # N = 2 in the log, told by its decimals as in notebook 40
        FINE,
        data="cars",
        backbone=f"{RESNEXT}.tv_in1k",
        options={"adautomix": FINE_ADAUTOMIX | {"beta": 0.3, "n_mix": 2}},
        generator=AUTOMIX_LOGGED,
    ),
}
"""By the column's name in the paper's tables."""
