"""A training loop that shares nothing with this package, under the settings of the study with few images.

    python benchmarks/plain_loop.py --root my_cifar10 --method mixup --seeds 0 1 --json plain.json

torch, torchvision and what their users would write: is a level of `outputs/reference/small_data` this package's own
doing? `--root` holds class folders, train/<class>/ and test/<class>/. A ResNet-18 of width 16 with PyTorch's usual
first weights; reflect-padded crops and flips; SGD 0.1 with Nesterov momentum, 5 % warm-up, then a cosine to 0.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.transforms import v2

BATCH, LR, DECAY, LAST = 50, 0.1, 5e-4, 10
NHWC = torch.channels_last


def main() -> None:
    """Train each seed and print its accuracy after the last epochs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--method", choices=["vanilla", "mixup"], default="vanilla")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        began = time.perf_counter()
        top1 = train(args.root, args.method, seed, args.epochs, args.per_class)
        row = {"method": args.method, "seed": seed, "epochs": args.epochs, "per_class": args.per_class}
        rows.append(row | {"student_top1": round(top1, 2), "seconds": round(time.perf_counter() - began)})
        print(pd.DataFrame(rows).to_string(index=False), flush=True)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=2) + "\n")


def train(root: Path, method: str, seed: int, epochs: int, per_class: int) -> float:
    """Return the test accuracy in percent, the median of the last ten epochs."""
    torch.manual_seed(seed)
    train_set, test_images, test_labels = images(root, per_class)
    loader = DataLoader(train_set, BATCH, shuffle=True)
    net = resnet18(width=16, classes=int(test_labels.max()) + 1).to(memory_format=NHWC)
    sgd = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, weight_decay=DECAY, nesterov=True)
    steps, step, found = epochs * len(loader), 0, []
    for epoch in range(epochs):
        net.train()
        for x, y in loader:
            for group in sgd.param_groups:
                group["lr"] = rate(step, steps)
            sgd.zero_grad()
            loss(net, x.contiguous(memory_format=NHWC), y, method).backward()
            sgd.step()
            step += 1
        if epoch >= epochs - LAST:
            found.append(accuracy(net, test_images, test_labels))
            print(f"  seed {seed}, epoch {epoch + 1}: {found[-1]:.2f} %", flush=True)
    return statistics.median(found)


def images(root: Path, per_class: int) -> tuple[Subset, Tensor, Tensor]:
    """Return the first training images of every class, changed anew in each epoch, and all test images."""
    plain = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    whole = ImageFolder(root / "train")
    first = [i for k in range(len(whole.classes)) for i in _of(whole.targets, k)[:per_class]]
    pixels = torch.stack([plain(whole[i][0]) for i in first])
    scaled = v2.Normalize(pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).tolist())
    changed = [v2.RandomCrop(32, padding=4, padding_mode="reflect"), v2.RandomHorizontalFlip()]
    whole.transform = v2.Compose([*changed, plain, scaled])
    test = ImageFolder(root / "test", v2.Compose([plain, scaled]))
    return Subset(whole, first), torch.stack([x for x, _ in test]), torch.tensor(test.targets)


def _of(labels: list[int], label: int) -> list[int]:
    return [i for i, own in enumerate(labels) if own == label]


def resnet18(width: int, classes: int) -> nn.Module:
    """Return torchvision's ResNet-18 for 32 px: a 3x3 stem of the usual 64 channels, no pooling, narrow stages."""
    net = ResNet(BasicBlock, [2, 2, 2, 2], num_classes=classes)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    net.inplanes, net.fc = 64, nn.Linear(8 * width, classes)
    for n in range(4):
        setattr(net, f"layer{n + 1}", net._make_layer(BasicBlock, width * 2**n, 2, stride=1 if n == 0 else 2))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def rate(step: int, steps: int) -> float:
    """Return the learning rate of a step: up for 5 % of all, then down along a cosine."""
    warmup = 0.05 * steps
    if step < warmup:
        return LR * (step + 1) / warmup
    return LR * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def loss(net: nn.Module, x: Tensor, y: Tensor, method: str) -> Tensor:
    """Return the cross-entropy of a batch, or of its MixUp with itself in another order; one lam a batch."""
    if method == "vanilla":
        return F.cross_entropy(net(x), y)
    lam, order = float(torch.rand(())), torch.randperm(len(x))  # Beta(1,1)
    logits = net(lam * x + (1 - lam) * x[order])
    return lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[order])


@torch.inference_mode()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of images whose first answer is right, in percent."""
    net.eval()
    hits = [
        net(a.contiguous(memory_format=NHWC)).argmax(1) == b for a, b in zip(x.split(500), y.split(500), strict=True)
    ]
    return 100 * float(torch.cat(hits).float().mean())


if __name__ == "__main__":
    main()
