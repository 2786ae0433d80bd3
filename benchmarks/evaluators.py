"""What every evaluator costs, in clean passes over the same test images; and one FGSM step, in forward passes.

An untrained ResNet-18 costs what a trained one does. Corrupted images are made anew in each round, as in a first
evaluation without kept or published files.
"""

import statistics
from functools import partial

import torch
from _report import arguments, interleaved, report

from adautomix.evaluate import EVALUATORS
from adautomix.evaluate.accuracy import predict
from adautomix.evaluate.attacks import fgsm
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.utils.seeding import choose_device, generator_for


def main() -> None:
    """Print one row per evaluator, the quickest first."""
    args = arguments(__doc__, images=64, batch=64, rounds=5, width=16, size=32)
    device = choose_device("auto")
    net, resize = build_backbone("resnet18", image_size=args.size, width=args.width)
    model = Classifier(net, 10, image_size=args.size, resize=resize).to(device).eval()
    rng = generator_for(0)
    x = torch.rand(args.images, 3, args.size, args.size, generator=rng).to(device)
    y, index = (torch.arange(args.images) % 10).to(device), torch.arange(args.images, device=device)
    batches = list(zip(*(t.split(args.batch) for t in (x, y, index)), strict=True))
    variants = {"clean pass": lambda: predict(model, batches)}
    variants["fgsm step"] = lambda: [fgsm(model, *batch[:2]) for batch in batches]
    variants |= {name: partial(EVALUATORS[name], model, batches) for name in EVALUATORS}
    seconds = interleaved({name: waited(run, device) for name, run in variants.items()}, args.rounds)
    cost = {
        name: statistics.median(s / c for s, c in zip(times, seconds["clean pass"], strict=True))
        for name, times in seconds.items()
    }
    rows = [{"evaluator": name, "clean_passes": round(cost[name], 1)} for name in sorted(cost, key=cost.get)]
    where = f"{device}, {torch.get_num_threads()} threads"
    report(f"evaluators, ResNet-18 width {args.width}, {args.size} px, batch {args.batch}, {where}", rows, args.json)
    rate = args.images / statistics.median(seconds["clean pass"])
    print(f"one clean pass: {rate:.0f} images/s")


def waited(run, device: torch.device):
    """Return a function that runs and waits for the device."""

    def whole() -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return whole


if __name__ == "__main__":
    main()
