"""Images per CPU-second of every corruption at severity 3, and how long all 75 versions of 10,000 images take.

Table "cifar", 32 px, batches of 250, draws included; beside imagecorruptions-imaug, if it is installed, image by image.
The peer knows the ImageNet table alone: its corruptions are stronger, its work is much the same. One thread, so that
CPU time counts work and not threads that wait.
"""

import contextlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _report import arguments, report

from adautomix.evaluate.corruptions import ALL19, CORRUPTIONS15, corrupt

SIDE, SEVERITY, TEST_SET = 32, 3, 10_000


def main() -> None:
    """Print one row per corruption, then the estimated minutes on two cores."""
    args = arguments(__doc__, rounds=5, batch=250, peer_images=20)
    torch.set_num_threads(1)
    x, index = smooth_images(args.batch), torch.arange(args.batch)
    rows = []
    for name in ALL19:
        runs = {"ours": (lambda n=name: corrupt(x, n, SEVERITY, table="cifar", seed=0, index=index), args.batch)}
        runs |= peer(name, x[: args.peer_images])
        rate = {who: per_cpu_second(run, count, args.rounds) for who, (run, count) in runs.items()}
        row = {"corruption": name, "images_per_cpu_s": round(rate["ours"])}
        if "imaug" in rate:
            row |= {"imaug": round(rate["imaug"]), "times_as_fast": round(rate["ours"] / rate["imaug"], 1)}
        rows.append(row)
    report(f"corruptions, severity {SEVERITY}, {SIDE} px, batch {args.batch}, one thread", rows, args.json)
    for who in ("images_per_cpu_s", "imaug"):
        if all(who in row for row in rows):
            seconds = sum(5 * TEST_SET / row[who] for row in rows if row["corruption"] in CORRUPTIONS15)
            print(
                f"{who}: 75 versions of {TEST_SET:,} images: {seconds:.0f} CPU-s, {seconds / 120:.1f} min on two cores"
            )


def smooth_images(count: int) -> torch.Tensor:
    """Return images that are smooth as photographs are, on the k/255 grid."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=SIDE, mode="bicubic").clamp(0, 1).mul(255).round().div(255)


def peer(name: str, x: torch.Tensor) -> dict[str, tuple[Callable[[], Any], int]]:
    """Return imagecorruptions-imaug's run over these images, or nothing if it is not installed."""
    with contextlib.suppress(ImportError):
        from imagecorruptions import corrupt as imaug

        warnings.filterwarnings("ignore")
        pixels = (x * 255).byte().permute(0, 2, 3, 1).numpy()
        arrays = [np.ascontiguousarray(image) for image in pixels]
        return {"imaug": (lambda: [imaug(a, corruption_name=name, severity=SEVERITY) for a in arrays], len(arrays))}
    return {}


def per_cpu_second(run: Callable[[], Any], count: int, rounds: int) -> float:
    """Return images per second of this process's CPU time: median over rounds, after one to warm up."""
    run()
    rates = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        rates.append(count / max(time.process_time() - began, 1e-9))
    return statistics.median(rates)


if __name__ == "__main__":
    main()
