"""Images a second of the vanilla training step: float32 and bfloat16, NCHW and channels-last, on the device at hand."""

import statistics
from dataclasses import replace

import torch
from _report import arguments, interleaved, ratio, report

from adautomix.config import TrainConfig
from adautomix.data.base import Dataset, MemorySplit
from adautomix.training.steps import Training
from adautomix.utils.seeding import choose_device, generator_for


def random_images(count: int) -> Dataset:
    """Return random images in CIFAR-10's shape."""
    rng = generator_for(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=rng)
    split = MemorySplit(images, torch.arange(count) % 10)
    classes = tuple("0123456789")
    half = (0.5, 0.5, 0.5)
    return Dataset("random", "random", classes, split, split, 32, half, half, pad=4, flip=True, fingerprint="")


def main() -> None:
    """Time whole steps of the trainer: loading, mixing, forward, backward, optimiser, teacher."""
    args = arguments(__doc__, batch=50, steps=4, rounds=5, width=64)
    device = choose_device("auto")
    dataset = random_images(args.batch * args.steps)
    base = TrainConfig(method="vanilla", width=args.width, batch_size=args.batch)
    variants = {}
    for precision in ("float32", "bfloat16"):
        for layout in (False, True):
            config = replace(base, precision=precision, channels_last=layout)
            variants[f"{precision}, {'channels-last' if layout else 'NCHW'}"] = epoch_of(config, dataset, device)
    seconds = interleaved(variants, args.rounds)
    rows = [
        {
            "variant": name,
            "images_per_s": round(args.batch * args.steps / statistics.median(seconds[name]), 1),
            "speed_ratio": round(ratio(seconds, name, "float32, NCHW"), 2),
        }
        for name in variants
    ]
    where = f"{device}, {torch.get_num_threads()} threads"
    report(f"vanilla step, ResNet-18 width {args.width}, 32 px, batch {args.batch}, {where}", rows, args.json)


def epoch_of(config: TrainConfig, dataset: Dataset, device: torch.device):
    """Return a function that trains over the data set once and waits for the device."""
    training = Training.start(config, dataset, device)

    def run() -> None:
        for batch in training.train_batches.epoch(0):
            training.step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


if __name__ == "__main__":
    main()
