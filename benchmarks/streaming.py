"""Images/s and memory of streaming JPEG files at 224 px: ours with and without cache, and torchvision's.

The files (500 x 375 px, quality 90: crops of three photographs, with noise) are written to a temporary folder. Rounds
of all loaders alternate; all keep their workers from epoch to epoch, and one thread makes float batches of ours.
Memory is measured in a new process for each.
"""

import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import arguments, report
from PIL import Image
from skimage import data as photographs
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from adautomix.config import TrainConfig
from adautomix.data.base import Dataset, PathSplit
from adautomix.data.batches import Batch
from adautomix.data.loader import train_loader
from adautomix.training.steps import Training
from adautomix.utils.seeding import choose_device

SIZE, CLASSES = 224, 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VARIANTS = ("torchvision", "ours, no cache", "ours, cached")
Epoch = Callable[[], Iterable[Any]]


def main() -> None:
    """Print one row per loader: images a second and a CPU-second, memory, and what a training step waits for images."""
    args = arguments(__doc__, images=400, batch=16, workers=2, rounds=7, steps=3, step_rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), args.images)
        setup = (folder, args.batch, args.workers)
        memory = {name: in_new_process(memory_of, name, setup) for name in VARIANTS}
        rates = throughput({name: loader(name, *setup) for name in VARIANTS}, args.rounds)
        waits = step_waits({name: loader(name, *setup) for name in VARIANTS}, setup, args.steps, args.step_rounds)
    rows = [row(name, rates, memory[name], waits[name]) for name in VARIANTS]
    where = f"{choose_device('auto')}, {torch.get_num_threads()} threads"
    title = f"{args.images} JPEGs at {SIZE} px, batch {args.batch}, {args.workers} workers, steps on {where}"
    report(title, rows, args.json)


def write_jpegs(folder: Path, count: int) -> None:
    """Write photograph-like files into class folders."""
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(read()) for read in (photographs.chelsea, photographs.astronaut, photographs.coffee)]
    for i in range(count):
        photo, scale = photos[i % len(photos)], rng.uniform(0.5, 1)
        wide, high = int(photo.width * scale), int(photo.height * scale)
        left, top = rng.integers(photo.width - wide + 1), rng.integers(photo.height - high + 1)
        crop = photo.crop((left, top, left + wide, top + high)).resize((500, 375), Image.Resampling.BICUBIC)
        pixels = np.asarray(crop) + rng.normal(0, 6, (375, 500, 3))
        path = folder / f"class{i % CLASSES}" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def loader(name: str, folder: str, batch: int, workers: int) -> Epoch:
    """Return a function that gives a new epoch's batches."""
    if name == "torchvision":
        return usual(folder, batch, workers)
    batches = train_loader(
        dataset_of(folder), batch, device=torch.device("cpu"), seed=0, workers=workers, cache=name == "ours, cached"
    )
    numbers = iter(range(10**6))
    return lambda: batches.epoch(next(numbers))


def usual(folder: str, batch: int, workers: int) -> Epoch:
    """Return torchvision's ImageFolder under torch's DataLoader, as its examples write it."""
    steps = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    files = ImageFolder(folder, transforms.Compose([*steps, transforms.Normalize(MEAN, STD)]))
    batches = DataLoader(
        files, batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: batches


def dataset_of(folder: str) -> Dataset:
    """Return the files as one of our data sets."""
    paths = sorted(Path(folder).rglob("*.jpg"))
    split = PathSplit(paths, torch.tensor([int(p.parent.name.removeprefix("class")) for p in paths]))
    names = tuple(f"class{k}" for k in range(CLASSES))
    return Dataset("jpegs", "jpegs", names, split, split, SIZE, MEAN, STD, pad=0, flip=True, fingerprint="")


def throughput(loaders: dict[str, Epoch], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return (images a second, images a CPU-second of workers and main process) of every loader in every round."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # idle threads that spin beside two workers on two cores would be counted
    for turn in range(rounds + 1):
        for name, epoch in loaders.items():
            began, cpu = time.perf_counter(), cpu_seconds()
            count = sum(len(batch[0]) for batch in epoch())
            if turn:  # the first epoch starts the workers and fills the cache
                rates[name].append((count / (time.perf_counter() - began), count / (cpu_seconds() - cpu)))
    torch.set_num_threads(threads)
    return rates


def step_waits(loaders: dict[str, Epoch], setup: tuple, steps: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return of every loader the share of time that ResNet-18's step waits for images, and ms a step waits."""
    device = choose_device("auto")
    config = TrainConfig(method="vanilla", batch_size=setup[1], epochs=10**6, workers=0)
    training = Training.start(config, dataset_of(setup[0]), device)
    waits: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    for epoch in loaders.values():
        sum(len(batch[0]) for batch in epoch())  # workers start, the cache fills
    for _ in range(rounds):
        for name, epoch in loaders.items():
            waiting, total = trained(training, epoch(), steps, device)
            waits[name].append((waiting / total, waiting / steps * 1000))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in waits.items()
    }


def trained(training: Training, batches: Iterable, steps: int, device: torch.device) -> tuple[float, float]:
    """Return seconds that `steps` steps waited for images and took in all, after one step to warm up."""
    waiting, began, batches = 0.0, 0.0, iter(batches)
    for number in range(steps + 1):
        asked = time.perf_counter()
        x, y = next(batches)[:2]
        got = time.perf_counter()
        training.step(Batch(x.to(device), y.to(device), y))
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number == 0:
            began = time.perf_counter()
        else:
            waiting += got - asked
    return waiting, time.perf_counter() - began


def memory_of(name: str, setup: tuple) -> dict[str, float]:
    """Return MiB of all workers together, at most, over two epochs.

    Rss counts shared pages (libraries, batches, the cache) in every process, Pss in parts, Private not at all.
    """
    multiprocessing.set_start_method("fork", force=True)  # a spawned process would spawn its workers
    epoch, peak, done = loader(name, *setup), dict.fromkeys(("Rss", "Pss", "Private"), 0.0), threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            found = [rollup(pid) for pid in worker_pids()]
            for key in peak:
                peak[key] = max(peak[key], sum(one.get(key, 0.0) for one in found))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(2):
        sum(len(batch[0]) for batch in epoch())
    done.set()
    watcher.join()
    return peak


def worker_pids() -> list[int]:
    """Return the running worker processes of this one."""
    return [child.pid for child in multiprocessing.active_children()]


def rollup(pid: int) -> dict[str, float]:
    """Return a process' memory in MiB by Linux' names."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return found | {"Private": found["Private_Clean"] + found["Private_Dirty"]}


def cpu_seconds() -> float:
    """Return CPU time of this process and its running workers; all workers live on, so none is lost."""
    ticks = 0
    for pid in worker_pids():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])  # user and system time
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def in_new_process(function: Callable, *args: Any) -> Any:
    """Return a function's result from a process that shares no page with this one."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def row(name: str, rates: dict, memory: dict[str, float], waits: tuple[float, float]) -> dict[str, Any]:
    """Return the table's row of one loader."""
    ratios = [
        [a / b for a, b in zip(one, base, strict=True)]
        for one, base in zip(rates[name], rates[VARIANTS[0]], strict=True)
    ]
    per_s, per_core = (sorted(column) for column in zip(*ratios, strict=True))
    return {
        "loader": name,
        "images_per_s": round(statistics.median(rate for rate, _ in rates[name])),
        "images_per_cpu_s": round(statistics.median(rate for _, rate in rates[name])),
        "speed_ratio": round(statistics.median(per_s), 2),
        "cpu_ratio": round(statistics.median(per_core), 2),
        "cpu_ratio_least": round(per_core[0], 2),
        "cpu_ratio_most": round(per_core[-1], 2),
        "workers_rss_mib": round(memory["Rss"]),
        "workers_pss_mib": round(memory["Pss"]),
        "workers_private_mib": round(memory["Private"]),
        "step_waits_share": round(waits[0], 4),
        "step_waits_ms": round(waits[1], 1),
    }


if __name__ == "__main__":
    main()
