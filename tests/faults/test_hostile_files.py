"""Kept images, archives, YAML and files of tasks, damaged or made to do harm: no code runs, each is told."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from helpers.faults import call, counted, faults_of, outcome, rng_for, times
from helpers.hostile import NO_JSON, YAML, archives
from helpers.plans import load_plan, write_notebook, write_plan

from adautomix.data.archives import Archive, unpack
from adautomix.evaluate.corruption_source import keep
from adautomix.evaluate.corruptions import CORRUPTIONS15
from adautomix.plans.report import status_text
from adautomix.utils.errors import UserError
from adautomix.utils.strict_yaml import parse


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
