"""Files that were cut off, flipped, edited or made to do harm: no code runs, and each is told in a sentence."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from helpers.faults import SEED, call, counted, outcome, rng_for, times
from helpers.hostile import HISTORIES, METRICS, NO_JSON, YAML, archives, bomb, saved, spoilt_configs, with_code
from helpers.plans import load_plan, write_notebook, write_plan

from adautomix import OptimConfig, TrainConfig, find_runs, table
from adautomix.data.archives import Archive, unpack
from adautomix.evaluate.corruption_source import keep
from adautomix.evaluate.corruptions import CORRUPTIONS15
from adautomix.plans.report import status_text
from adautomix.runs import Run, load_classifier, load_method
from adautomix.training import train
from adautomix.utils.errors import UserError
from adautomix.utils.strict_yaml import parse

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


def faults_of(tries):
    """Return a line for each of {name: (state, value)} that is a fault."""
    return [f"{name}: {value[-700:]}" for name, (state, value) in tries.items() if state == "fault"]


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
    assert {
        name for name in read_all_the_same if name.startswith("config.json") and "evaluated" not in name
    } == harmless


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"finished": "<script>"}'])
def test_what_done_says_does_not_matter_but_that_it_is_there(run, content):
    (run.path / "DONE").write_bytes(content)
    assert Run(run.path).done
    assert len(table(find_runs(run.path.parents[1]))) == 2


def test_a_damaged_file_of_a_plans_task_is_told_or_counts_as_not_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "ok", 'outputs: str = "x"  # where', "pass")
    write_plan(tmp_path, {"a": {"notebook": "ok"}})
    plan = load_plan("tiny")
    task, tries = plan.tasks["a"], {}
    task.folder.mkdir(parents=True)
    more = {"no seconds": json.dumps({"key": task.key, "upstream": {}}).encode()}
    for name, path in {
        "DONE": task.folder / "DONE",
        "FAILED": task.folder / "FAILED",
        "settings.json": plan.outputs / "settings.json",
    }.items():
        for what, content in (NO_JSON | more).items():
            path.write_bytes(content)
            tries[f"{name} with {what}"] = outcome(lambda: status_text(plan))
            answer = call("status", "tiny")
            tries[f"{name} with {what}, status"] = ("told" if answer.code in (0, 2) else "fault", answer.raised)
        path.unlink()
    counted("damaged files of a plan's task", len(tries), tracebacks=len(faults_of(tries)))
    assert not faults_of(tries)
    assert "waiting  a" in status_text(plan)


def batches():
    rng = torch.Generator().manual_seed(0)
    for start in range(0, 4, 2):
        yield torch.rand(2, 3, 16, 16, generator=rng), torch.zeros(2), torch.arange(start, start + 2)


def test_damaged_kept_images_are_told_never_taken_for_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("adautomix.evaluate.corruption_source.ALL19", CORRUPTIONS15[:2])
    name, folder = CORRUPTIONS15[0], tmp_path / "corrupted"
    x, _, index = next(batches())

    def images():
        source = keep(folder, list(batches()), of={"images": 4, "fingerprint": "x"}, settings={"table": "cifar"})
        return source(x, index, name, 3)

    before, tries = images(), {}
    whole, manifest = (folder / f"{name}.npy").read_bytes(), (folder / "manifest.json").read_bytes()
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{"a": 1}] * 20, dtype=object), allow_pickle=True)
    spoilt = {
        "objects": objects.read_bytes(),
        "no array": b"\x93NUMPY evil",
        "empty": b"",
        "half": whole[: len(whole) // 2],
    }
    spoilt["a header that lies"] = whole[:10] + whole[10:128].replace(b"(20, 16", b"(99999999, 16"[:7]) + whole[128:]
    rng = rng_for("kept images")
    for number in range(times(10, 100)):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        spoilt[f"flip {number}"] = bytes(flipped)
    for what, content in spoilt.items():
        (folder / f"{name}.npy").write_bytes(content)
        tries[what] = outcome(images)
        (folder / f"{name}.npy").write_bytes(whole)
    sums = {
        "sums that are a list": {"sha256": []},
        "sums of nothing": {"sha256": {"x": 5}},
        "sums that are numbers": {"sha256": {name: 5}},
    }
    manifests = NO_JSON | {what: json.dumps(json.loads(manifest) | change).encode() for what, change in sums.items()}
    for what, content in manifests.items():
        (folder / "manifest.json").write_bytes(content)
        tries[f"manifest with {what}"] = outcome(images)
        (folder / "manifest.json").write_bytes(manifest)
    other = [what for what, (state, value) in tries.items() if state == "read" and not torch.equal(value, before)]
    counted(
        "damaged kept images and manifests",
        len(tries),
        told=sum(state == "told" for state, _ in tries.values()),
        other_images=len(other),
        tracebacks=len(faults_of(tries)),
    )
    assert not faults_of(tries)
    assert not other
    assert torch.equal(images(), before)


def test_archives_that_lead_out_of_their_folder_are_refused_whole(tmp_path):
    made = archives(tmp_path, "set")
    escaped = [tmp_path / "escaped", tmp_path / "root" / "escaped", tmp_path / "outside"]
    tries = {}
    for what, file in made.items():
        root = tmp_path / "root" / what
        root.mkdir(parents=True)
        named = shutil.copy(file, root / f"set{''.join(file.suffixes)}")
        digest = hashlib.md5(file.read_bytes()).hexdigest()
        archive = Archive(
            "set", "set", ("fine",), f"https://example.org/{root.name}/set{''.join(file.suffixes)}", digest
        )
        tries[what] = outcome(lambda a=archive, r=root: a.locate(r))
        assert sorted(path.name for path in root.iterdir()) in (
            ["set.zip"],
            ["set.tar.gz"],
            [".lock", "set.zip"],
            [".lock", "set.tar.gz"],
        ), named
    counted(
        "archives that lead out",
        len(tries),
        told=sum(state == "told" for state, _ in tries.values()),
        tracebacks=len(faults_of(tries)),
    )
    assert [path for path in escaped if path.exists()] == []
    assert [what for what, (state, _) in tries.items() if state != "told"] == []
    assert all("links, devices or names that lead out" in value for _, value in tries.values())


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x1f\x8b\x08 broken"])
def test_a_broken_archive_with_the_right_sum_is_told(tmp_path, suffix, content):
    (tmp_path / f"set{suffix}").write_bytes(content)
    digest = hashlib.md5(content).hexdigest()
    archive = Archive("set", "set", ("fine",), f"https://example.org/set{suffix}", digest)
    with pytest.raises(UserError, match=r"set is not in .* could not be downloaded"):
        archive.locate(tmp_path)


@pytest.mark.parametrize("form", ["zip", "gztar"])
def test_a_whole_archive_is_unpacked(tmp_path, form):
    (tmp_path / "source" / "set" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "set" / "deep" / "a").write_text("text")
    packed = shutil.make_archive(str(tmp_path / "packed"), form, tmp_path / "source")
    unpack(type(tmp_path)(packed), tmp_path / "new")
    assert (tmp_path / "new" / "set" / "deep" / "a").read_text() == "text"


def test_yaml_with_tags_bombs_and_odd_values_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marker, tries = tmp_path / "ran", {}
    for what, text in YAML.items():
        text = text.replace("MARKER", str(marker))
        tries[what] = outcome(lambda t=text: parse(t))
        plan = tmp_path / "plan.yaml"
        plan.write_text(text)
        answer = call("run", plan)
        tries[f"{what}, as a plan"] = (
            "told" if answer.code == 2 and answer.told else "fault",
            answer.raised + answer.err,
        )
        answer = call("run", "quick", "--set", f"epochs={text}")
        tries[f"{what}, as a setting"] = (
            "told" if answer.code == 2 and answer.told else "fault",
            answer.raised + answer.err,
        )
    counted(
        "YAML with tags, bombs and odd values",
        len(tries),
        tracebacks=len(faults_of(tries)),
        code_that_ran=int(marker.exists()),
    )
    assert not marker.exists()
    assert not faults_of(tries)
