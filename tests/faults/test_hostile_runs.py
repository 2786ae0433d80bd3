"""Files of a Run that were cut off, flipped, edited or made to do harm: no code runs, each is told in a sentence."""

import json
import shutil

import pytest
import torch
from helpers.faults import SEED, call, counted, faults_of, outcome, rng_for, times
from helpers.hostile import HISTORIES, METRICS, NO_JSON, bomb, saved, spoilt_configs, with_code

from adautomix import OptimConfig, TrainConfig, find_runs, table
from adautomix.runs import Run, load_classifier, load_method
from adautomix.training import train

CONFIG = TrainConfig(
    method="adautomix",
    width=4,
    per_class=4,
    batch_size=8,
    epochs=1,
    optim={"student": OptimConfig(lr=0.01), "generator": OptimConfig(lr=0.01)},
    device="cpu",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a finished Run that tests copy."""
    return train(CONFIG, tmp_path_factory.mktemp("runs"), log=lambda line: None)


@pytest.fixture
def run(trained, tmp_path):
    place = tmp_path / "runs" / "digits" / trained.id
    shutil.copytree(trained.path, place)
    return Run(place)


def networks(run):
    """Return every tensor that a checkpoint gives to what reads it."""
    parts = {role: load_classifier(Run(run.path), role).state_dict() for role in run.roles}
    parts["generator"] = load_method(Run(run.path)).trainable_modules()["generator"].state_dict()
    return {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def resumed(run):
    """Train on from the checkpoint, as after a kill before DONE."""
    (run.path / "DONE").unlink(missing_ok=True)
    return train(CONFIG, run.path.parents[1], log=lambda line: None)


def test_a_flipped_bit_of_a_checkpoint_is_told_or_changes_nothing(run):
    rng, count = rng_for("bit flips"), times(25, 200)
    whole, before = run.checkpoint.read_bytes(), networks(run)
    told, silent, faults = 0, 0, []
    for _ in range(count):
        place, bit = rng.randrange(len(whole)), rng.randrange(8)
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << bit
        run.checkpoint.write_bytes(spoilt)
        state, value = outcome(lambda: networks(run))
        told += state == "told"
        silent += state == "read" and not same(value, before)
        faults += [f"byte {place}, bit {bit}: {value[-700:]}"] if state == "fault" else []
    counted("bit flips of a checkpoint", count, told=told, other_weights=silent, tracebacks=len(faults))
    assert not silent, f"seed {SEED}: {silent} of {count} gave other weights in silence"
    assert not faults, f"seed {SEED}: {faults[:3]}"
    assert told > 0.7 * count  # a part of an archive is padding


def test_a_checkpoint_that_holds_something_else_is_told_and_runs_no_code(run, tmp_path):
    whole, marker = run.checkpoint.read_bytes(), tmp_path / "ran"
    state = torch.load(run.checkpoint, weights_only=True)
    wider = train(
        TrainConfig(width=8, per_class=4, batch_size=8, epochs=1, device="cpu"),
        tmp_path / "wider",
        log=lambda line: None,
    )
    spoilt = with_code(marker) | {f"cut at {k} of 10": whole[: len(whole) * k // 10] for k in range(10)}
    spoilt |= {
        "a zip bomb": bomb(times(2**26, 2**31)),
        "another network": wider.checkpoint.read_bytes(),
        "a text": b"PK\x03\x04 no archive",
        "a list": saved([1, 2]),
        "no student": saved({"a": 1}),
        "a student that is a number": saved(state | {"student": 5}),
        "a student without a tensor": saved(state | {"student": {}}),
        "words for tensors": saved(state | {"student": dict.fromkeys(state["student"], "x")}),
        "no teacher": saved(state | {"context": {}}),
        "no generator": saved(state | {"trainables": {}}),
        "tensors as large as the memory": saved(
            state | {"student": {k: torch.zeros(1).expand(2**40) for k in state["student"]}}
        ),
    }
    tries = {}
    for name, content in spoilt.items():
        run.checkpoint.write_bytes(content)
        tries[name] = outcome(lambda: networks(run))
        tries[f"{name}, trained on"] = outcome(lambda: resumed(run))
        (run.path / "DONE").write_text("{}")
    training = {
        "an epoch that is a word": {"epoch": "x"},
        "no optimisers": {"optimizers": {}},
        "no rng": {"context": {}},
    }
    for name, change in training.items():
        run.checkpoint.write_bytes(saved(state | change))
        tries[f"{name}, trained on"] = outcome(lambda: resumed(run))
    counted(
        "checkpoints that hold something else",
        len(tries),
        told=sum(state == "told" for state, _ in tries.values()),
        taken_for_whole=sum(state == "read" for state, _ in tries.values()),
        tracebacks=len(faults_of(tries)),
        code_that_ran=int(marker.exists()),
    )
    assert not marker.exists()
    assert not faults_of(tries)
    assert [name for name, (state, _) in tries.items() if state == "read"] == []
    run.checkpoint.write_bytes(whole)
    assert len(resumed(run).history) == 1


def test_a_run_whose_config_history_or_metrics_are_damaged_is_told(run):
    tries, info = {}, json.loads((run.path / "config.json").read_bytes())

    def read(path):
        fresh = Run(run.path)
        return fresh.config, load_classifier(fresh), len(fresh.history), len(table(find_runs(run.path.parents[1])))

    targets = {
        "config.json": NO_JSON | spoilt_configs(info),
        "history.csv": HISTORIES,
        "metrics/accuracy.student.json": METRICS,
    }
    read(run.path)
    for name, contents in targets.items():
        path = run.path / name
        whole = path.read_bytes()
        for what, content in contents.items():
            path.write_bytes(content)
            tries[f"{name} with {what}"] = outcome(lambda: read(run.path))
            answer = call("evaluate", run.path, "--device", "cpu")
            state = "told" if answer.told else "read" if answer.code == 0 else "fault"
            tries[f"{name} with {what}, evaluated"] = (state, answer.raised + answer.err)
        path.write_bytes(whole)
    read(run.path)
    read_all_the_same = [name for name, (state, _) in tries.items() if state == "read"]
    counted(
        "damaged config.json, history.csv and metrics",
        len(tries),
        told=sum(state == "told" for state, _ in tries.values()),
        read_all_the_same=len(read_all_the_same),
        tracebacks=len(faults_of(tries)),
    )
    assert not faults_of(tries)
    harmless = {"config.json with sessions without a machine", "config.json with a data set that is a path"}
    harmless |= {"config.json with a method that is a path"}  # like one whose package is gone: a name in tables
    assert {
        name for name in read_all_the_same if name.startswith("config.json") and "evaluated" not in name
    } == harmless


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"finished": "<script>"}'])
def test_what_done_says_does_not_matter_but_that_it_is_there(run, content):
    (run.path / "DONE").write_bytes(content)
    assert Run(run.path).done
    assert len(table(find_runs(run.path.parents[1]))) == 2
