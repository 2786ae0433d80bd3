"""Kills at random moments: what is lost, torn, left behind or different when the same command is run again? Nothing."""

import re
import shutil
import sys
import time
from collections import Counter

import pytest
import torch
from helpers.faults import FULL, SEED, counted, rng_for, times
from helpers.killed_plans import MarkedDevices, MarkedPlan
from helpers.kills import Trainers, adopt_orphans
from helpers.plans import OUTPUTS, write_notebook, write_plan
from helpers.results import result_of, torn_file
from helpers.scarce import in_child
from helpers.tiny import TinyNet
from helpers.training import tiny_config
from helpers.trees import write_tree

from adautomix.methods import METHODS
from adautomix.runs import networks
from adautomix.runs.run import find_runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and adopts orphans as Linux does")
IN_MEMORY = ["adautomix", "recursivemix", *(name for name in METHODS if name not in ("adautomix", "recursivemix"))]


def campaign(trainers, kills, rng):
    """Kill so many trainers, up to four of one Run in a row, and compare every Run that they leave."""
    count = 0
    while sum(sum(t.phases.values()) for t in trainers) < kills:
        one = trainers[count % len(trainers)]
        runs = one.folder / f"run {count}"
        for _ in range(rng.randint(1, 4)):
            if not one.kill(runs, rng):  # it came to its end
                break
        one.finish(runs)
        count += 1
        if FULL and count % 20 == 0:
            so_far, found = (sum((Counter(c) for c in all_), Counter()) for all_ in counts_of(trainers))
            print(f"{so_far.total()} kills of {count} runs: {dict(found) or 'nothing found'}", flush=True)
    phases, found = (sum((Counter(c) for c in all_), Counter()) for all_ in counts_of(trainers))
    return {
        "runs": count,
        "phases": dict(phases),
        "found": {name: found[name] for name in trainers[0].found},
        "why": [line for t in trainers for line in t.why][:20],
    }


def counts_of(trainers):
    return [t.phases for t in trainers], [t.found for t in trainers]


def in_memory(folder, dataset, kills, methods):
    adopt_orphans()
    torch.set_num_threads(1)
    for place in ("adautomix.training.loop", "adautomix.evaluate.runs"):
        sys.modules[place].dataset_for = lambda config: dataset
    networks.build_backbone = lambda *args, **options: (TinyNet(), None)
    trainers = [Trainers(tiny_config(method=m, epochs=4, tap="body"), folder / m) for m in methods]
    return campaign(trainers, kills, rng_for("kills"))


def streamed(folder, kills):
    adopt_orphans()
    torch.set_num_threads(1)
    write_tree("folder", folder / "images", classes=2, train=8, test=2)
    networks.build_backbone = lambda *args, **options: (TinyNet(), None)
    images = {"data": "folder", "root": str(folder / "images"), "size": 80, "workers": 2}
    config = tiny_config(**images, epochs=3, batch_size=4, tap="body")
    return campaign([Trainers(config, folder / "streamed")], kills, rng_for("kills of streams"))


def corrupting(folder, dataset, kills):
    """Kill while the corrupted images of a data set are made, which is nearly all that these trainers do."""
    adopt_orphans()
    torch.set_num_threads(1)
    for place in ("adautomix.training.loop", "adautomix.evaluate.runs"):
        sys.modules[place].dataset_for = lambda config: dataset
    networks.build_backbone = lambda *args, **options: (TinyNet(), None)
    config = tiny_config(method="vanilla", epochs=1, tap="body")
    return campaign([Trainers(config, folder / "corrupting", ["corruption"])], kills, rng_for("kills of makers"))


def told(what, found):
    """Print where the kills struck, note the counts, and require that nothing came of any."""
    kills = sum(found["phases"].values())
    where = ", ".join(f"{name} {count}" for name, count in sorted(found["phases"].items()))
    print(f"FAULTS_SEED={SEED}, {what}: {kills} kills of {found['runs']} runs, while in: {where}")
    counted(what, kills, **found["found"])
    why = "\n".join(found["why"])
    assert all(number == 0 for number in found["found"].values()), f"seed {SEED}: {found['found']}\n{why}"


def test_nothing_is_lost_torn_left_or_different_after_kills_of_trainers(tmp_path, tiny_dataset):
    methods = IN_MEMORY[: times(2, len(IN_MEMORY))]
    found = in_child(in_memory, tmp_path, tiny_dataset, times(8, 800), methods)
    told("trainers and evaluators killed", found)
    assert {"start", "steps", "evaluation", "checkpoint", "records"} <= set(found["phases"]) or times(1, 0)


def test_nothing_is_lost_torn_left_or_different_after_kills_of_trainers_with_loader_processes(tmp_path):
    told("trainers with loader processes, or these, killed", in_child(streamed, tmp_path, times(2, 100)))


def test_nothing_is_torn_left_or_different_after_kills_of_those_who_make_corrupted_images(tmp_path, tiny_dataset):
    found = in_child(corrupting, tmp_path, tiny_dataset, times(3, 100))
    told("makers of corrupted images killed", found)
    assert "corrupted images" in found["phases"]


TRAIN = """\
import torch
from adautomix import TrainConfig
from adautomix.training.loop import train
torch.set_num_threads(1)
train(TrainConfig(width=4, epochs=4, per_class=10, batch_size=20, device="cpu", seed=seed), f"{outputs}/runs", log=str)
"""


def trained_alone(folder, seeds):
    torch.set_num_threads(1)
    for seed in seeds:
        exec(TRAIN, {"seed": seed, "outputs": str(folder)})
    return [result_of(run) for run in find_runs(folder)]


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="100 plans take an hour: make faults. tests/plans kill a kernel and a worker")
def test_nothing_is_lost_left_or_different_after_kills_of_plans(tmp_path):
    """Of the command, of what a terminal ends with it, of workers, kernels and fork servers."""
    seeds = list(range(2))
    write_notebook(tmp_path, "train", OUTPUTS + "seed: int = 0  # of the run", TRAIN)
    write_notebook(tmp_path, "after", OUTPUTS, "print(6 * 7)")
    train = {"notebook": "train", "training": True, "grid": {"seed": seeds}}
    write_plan(tmp_path, {"train": train, "after": {"notebook": "after", "needs": "train"}})
    alone = in_child(trained_alone, tmp_path / "alone", seeds)
    rng, killed, different, left, unfinished = rng_for("kills of plans"), Counter(), [], [], []
    while killed.total() < 100:
        shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
        began, said = time.monotonic(), tmp_path / "said"
        with MarkedPlan(tmp_path, workers=2) as plan:
            killed.update(filter(None, (plan.kill(said, rng, 12) for _ in range(4))))
            if plan.finish(said) != 0 or plan.done() != ["after", *(f"train.seed={seed}" for seed in seeds)]:
                unfinished.append(said.read_text())
            found = map(result_of, find_runs(tmp_path / "outputs"))
            different += [run for run, other in zip(found, alone, strict=True) if run != other]
            left += plan.left_over()
        so_far = {"unfinished": len(unfinished), "differ": len(different), "left_over": len(left)}
        print(f"{killed.total()} plans killed: {so_far}, {time.monotonic() - began:.0f} s", flush=True)
    where = ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))
    print(f"FAULTS_SEED={SEED}, plans killed: {where}")
    counted("plans killed", killed.total(), unfinished=len(unfinished), differ=len(different), left_over=len(left))
    assert (unfinished, different, left) == ([], [], []), f"seed {SEED}: {where}"


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="100 kills take an hour: make faults. tests/training/test_launch kills a rank")
def test_nothing_is_lost_torn_left_or_different_after_kills_of_a_run_on_two_devices(tmp_path):
    """Of the command, of what a terminal ends with it, of the agent and of the ranks."""
    small = ("--width", 4, "--per-class", 10, "--batch-size", 20, "--epochs", 8)
    rng, killed, found = rng_for("kills of devices"), Counter(), Counter(lost_epochs=0, torn=0, differ=0, left_over=0)
    with MarkedDevices(tmp_path / "alone", *small) as command:
        assert command.finish(tmp_path / "said") == 0
        (alone,) = map(result_of, find_runs(command.folder))
    while killed.total() < 100:
        with MarkedDevices(tmp_path / "killed", *small) as command:
            for _ in range(4):
                victim = command.kill(said := tmp_path / "said", rng, 8)
                killed.update(filter(None, [victim]))
                found["torn"] += sum(bool(torn_file(path)) for path in command.folder.rglob("*.*"))
                told_of = max(map(int, re.findall(r"^epoch +(\d+)/", said.read_text(), re.M)), default=0)
                found["lost_epochs"] += max(0, told_of - command.epochs_kept())
            assert command.finish(said) == 0, f"seed {SEED}, {killed}: {said.read_text()}"
            found["differ"] += [alone] != [result_of(run) for run in find_runs(command.folder)]
            found["left_over"] += len(command.left_over())
        shutil.rmtree(command.folder)
        print(f"{killed.total()} runs on two devices killed: {dict(found)}", flush=True)
    print(f"FAULTS_SEED={SEED}: {', '.join(f'{name} {count}' for name, count in sorted(killed.items()))}")
    counted("runs on two devices killed", killed.total(), **found)
    assert not found.total(), f"seed {SEED}: {killed}"
