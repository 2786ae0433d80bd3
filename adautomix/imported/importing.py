"""A checkpoint of the authors' or of OpenMixup becomes a Run, which every evaluator and notebook takes like another.

What a reader gets wrong: nothing was trained here. The Run has no history, it says "imported" with the file's sha256,
and its images are known when it is first evaluated.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from adautomix.config import TrainConfig
from adautomix.data import DATASETS
from adautomix.data.base import IMAGENET_MEAN, IMAGENET_STD
from adautomix.data.cifar import MEAN, STD
from adautomix.imported.architecture import recognised
from adautomix.imported.fitting import fitted
from adautomix.imported.keys import Parts, by_part
from adautomix.imported.reading import read, sha256
from adautomix.methods import resolve_options
from adautomix.recipes import RECIPES
from adautomix.recipes.released import IMAGES
from adautomix.runs import checkpoint
from adautomix.runs.identity import NUMERICS_VERSION
from adautomix.runs.networks import build_classifier
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError, first_five, unknown
from adautomix.utils.files import write_json

SETS = {
    (100, True): "cifar100",
    (10, True): "cifar10",
    (200, True): "tiny_imagenet",
    (1000, False): "imagenet",
    (200, False): "cub200",
    (196, False): "cars",
    (100, False): "aircraft",
}
"""The data set that a number of classes and a stem (for images up to 64 px or not) speak for."""
SIZES = {"cifar10": 32, "cifar100": 32, "tiny_imagenet": 64}
LARGEST_SMALL_SET = 100
"""A Swin sees 224 px whatever the images are: with up to so many classes it is taken to be CIFAR's."""
MERGED = "layers.3.downsample"
"""Where the authors' Swin has its tap: after the merging of patches that precedes the last stage."""


def import_checkpoint(
    file: str | Path,
    runs: str | Path = "outputs/runs",
    *,
    recipe: str | None = None,
    data: str | None = None,
    root: str | None = None,
    log: Callable[[str], None] = print,
) -> Run:
    """Return the finished Run made of a checkpoint; one that was imported alike before is returned as it is.

    Args:
        file: in OpenMixup's layout; read with weights_only=True.
        runs: folder that holds the runs.
        recipe: name of the cell it was trained for; default: a method and data set that its tensors speak for.
        data: name of the data set to evaluate it on, where its classes do not tell.
        root: where that lies.
    Raises: UserError for a file that cannot be read or needs more than tensors, a network that is not known, tensors
        that are missing or left over, or a recipe or data set that does not fit.
    """
    file = Path(file).expanduser()
    content = read(file)
    parts = by_part(content["state_dict"])
    config, dataset = config_and_images(parts, recipe, data, root)
    epoch = content["meta"].get("epoch")
    config = replace(config, epochs=epoch if isinstance(epoch, int) and epoch > 0 else config.epochs)
    state = fitted(parts, config, dataset)
    digest = sha256(file)
    run = Run(Path(runs) / dataset["label"] / f"imported-{config.method}-{config.backbone}-{digest[:8]}")
    source = {"file": file.name, "sha256": digest, "epoch": epoch, "recipe": recipe}
    source |= {"left_out": parts.left_out, "one_network": not parts.teacher}
    with run.lock():
        if run.done and run.config == config and run.info["imported"]["recipe"] == recipe:
            log(f"{run.id}: already imported, in {run.path}")
            return run
        shutil.rmtree(run.path / "metrics", ignore_errors=True)  # of what it was imported as before
        run = Run(run.path)  # that one remembers what it was
        checkpoint.save(run.checkpoint, state)
        info = {"config": asdict(config), "dataset": dataset, "numerics_version": NUMERICS_VERSION}
        write_json(run.path / "config.json", info | {"imported": source})
        run.add_session({"from_epoch": config.epochs})
        run.finish()
    log(told(run, parts))
    return run


def config_and_images(
    parts: Parts, recipe: str | None, data: str | None, root: str | None
) -> tuple[TrainConfig, dict[str, Any]]:
    """Return the Run's config, the recipe's or the least the tensors speak for, and what is known of its images."""
    found = recognised(parts.student)
    swin = found.backbone.startswith("swin")
    guessed = SETS.get((found.num_classes, found.small or (swin and found.num_classes <= LARGEST_SMALL_SET)), "folder")
    if recipe is None:
        config = TrainConfig(data=data or guessed, method=method_of(parts), backbone=found.backbone)
    else:
        config = RECIPES[recipe].config()
        if config.backbone.partition(".")[0] != found.backbone:
            raise UserError(f"{recipe} is of {config.backbone}, the file holds {found.backbone}")
        known = IMAGES[config.data][0], config.width
        if (found.num_classes, found.width) != known:
            raise UserError(
                f"{recipe} has {known[0]} classes and {width_text(known[1])}, the file {found.num_classes} and "
                f"{width_text(found.width)}"
            )
        if data not in (None, config.data):
            raise UserError(f"{recipe} is of {config.data}, got --data {data}; give one of them")
    if config.data not in DATASETS:
        raise unknown("data set", config.data, DATASETS)
    size = SIZES.get(config.data, 32 if found.small and config.data == "folder" else 224)
    # Its weights are here: none are to be fetched.
    config = replace(config, width=found.width, pretrained=False, root=root, size=size)
    mean, std = (MEAN, STD) if size == SIZES["cifar100"] else (IMAGENET_MEAN, IMAGENET_STD)
    classes = [f"class {k}" for k in range(found.num_classes)]
    images = {"label": config.data, "classes": classes, "size": size, "mean": list(mean), "std": list(std)}
    images |= {"n_train": 0, "n_test": 0, "n_validation": 0, "fingerprint": None}
    return fitted_to_generator(config, parts, images), images


def width_text(width: int | None) -> str:
    """Return a ResNet's width in words."""
    return f"width {64 if width is None else width}"


def method_of(parts: Parts) -> str:
    """Return the method that a checkpoint's parts speak for."""
    return "adautomix" if parts.generator else "vanilla"


def fitted_to_generator(config: TrainConfig, parts: Parts, images: dict[str, Any]) -> TrainConfig:
    """Return the config with the tap and the generator's options that its tensors tell, all options resolved."""
    if parts.generator and config.method != "adautomix":
        raise UserError(f"the file holds AdAutoMix's generator, the recipe's method is {config.method}")
    if not parts.generator:
        return replace(config, options=resolve_options(config.method, config.options))
    inner, inputs = parts.generator["query.weight"].shape[:2]
    taps = [None, MERGED] if config.backbone.startswith("swin") else [None]
    channels = {tap: build_classifier(replace(config, tap=tap), images).tap_shape[0] for tap in taps}
    for tap, count in channels.items():
        if inputs - count in (0, 1):
            options = {"lam_channel": inputs > count, "reduction": count // inner}
            options |= {"norm": "batch" if "query_norm.weight" in parts.generator else "none"}
            return replace(config, tap=tap, options=resolve_options(config.method, config.options | options))
    raise UserError(f"the generator takes {inputs} channels; the features of {config.backbone} have {channels}")


def told(run: Run, parts: Parts) -> str:
    """Return what was imported, in one line."""
    config, source = run.config, run.info["imported"]
    width = f" of width {config.width}" if config.width else ""
    line = f"{config.backbone}{width}, {len(run.info['dataset']['classes'])} classes, for {config.data}"
    networks = "one network, shown as student and as teacher" if source["one_network"] else "student, teacher"
    line += f": {networks}{', generator' if parts.generator else ''}; epoch {source['epoch'] or 'unknown'}"
    if source["left_out"]:
        line += f"; left out: {first_five(source['left_out'])}"
    return f"{line}\nrun: {run.path}"
