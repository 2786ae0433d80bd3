"""Stored results: which are kept, and which are evaluated anew, because something else is asked for now?"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.corrupting import write_published
from helpers.tiny import tiny_classifier

import adautomix.evaluate.corruption_source as sources
import adautomix.evaluate.runs as runs
from adautomix.config import TrainConfig
from adautomix.data.base import MemorySplit, describe
from adautomix.evaluate.runs import evaluate_run
from adautomix.results.tables import table
from adautomix.runs.run import create, run_for
from adautomix.utils.errors import UserError


@pytest.fixture
def opened(tmp_path, monkeypatch, tiny_dataset):
    """Return a function that gives a finished run on 20 images of a data set by name; files are sought in tmp_path."""
    monkeypatch.setattr(sources, "in_workbook", lambda path: tmp_path / path)
    monkeypatch.setattr(runs, "load_classifier", lambda run, role, device: tiny_classifier().eval())

    def open_(name="digits"):
        images = torch.nn.functional.interpolate(tiny_dataset.test.images.float(), size=32).byte()
        dataset = replace(tiny_dataset, name=name, size=32, test=MemorySplit(images, tiny_dataset.test.labels))
        monkeypatch.setattr(runs, "dataset_for", lambda config: dataset)
        config = TrainConfig(data=name, device="cpu")
        run = run_for(tmp_path / "runs", config, describe(dataset))
        create(run, config, describe(dataset))
        run.finish()
        return run

    return open_


def evaluate(run, *names, **asked):
    """Return what evaluating a run's student said."""
    lines = []
    assert evaluate_run(run, names, roles=("student",), device="cpu", log=lines.append, **asked)
    return lines


def test_another_sample_is_evaluated_anew_and_the_same_one_is_kept(opened):
    run = opened()
    for sample, count in ((7, 7), (None, 20), (7, 7), (50, 20)):
        assert "fgsm of the student" in evaluate(run, "fgsm", sample=sample)[0]
        assert run.metrics("fgsm", "student")["n_images"] == count
        assert evaluate(run, "fgsm", sample=sample) == [f"{run.id}: already evaluated"]
    assert evaluate(run, "fgsm") == [f"{run.id}: already evaluated"]  # 50 of 20 images were all


def test_accuracy_takes_all_images_whatever_the_sample(opened):
    run = opened()
    evaluate(run, "accuracy", sample=7)
    assert "already evaluated" in evaluate(run, "accuracy")[0]


def test_pgd_takes_its_own_number_of_images(opened, monkeypatch):
    monkeypatch.setitem(runs.DEFAULT_SAMPLE, "pgd", 5)
    run = opened()
    evaluate(run, "pgd")
    assert run.metrics("pgd", "student")["n_images"] == 5
    assert "already evaluated" in evaluate(run, "pgd")[0]
    evaluate(run, "pgd", sample=6)
    assert run.metrics("pgd", "student")["n_images"] == 6


def test_other_settings_are_noticed(opened):
    run = opened()
    evaluate(run, "released")
    stored = run.metrics("released", "student")
    run.write_metrics("released", "student", stored | {"settings": stored["settings"] | {"batch_size": 500}})
    assert "released of the student" in evaluate(run, "released")[0]
    assert run.metrics("released", "student")["settings"] == stored["settings"]


def source_of(run):
    return run.metrics("corruption", "student")["settings"]["source"]


def test_published_files_put_in_place_later_are_noticed(opened, tmp_path, tiny_dataset):
    run = opened("cifar10")
    evaluate(run, "corruption", sample=2)
    assert source_of(run) == "regenerated"
    assert "already evaluated" in evaluate(run, "corruption", sample=2)[0]
    (tmp_path / "data").mkdir()
    write_published(tmp_path / "data" / "CIFAR-10-C", tiny_dataset.test.labels)
    evaluate(run, "corruption", sample=2)
    assert source_of(run) == "published"
    assert "already evaluated" in evaluate(run, "corruption", sample=2)[0]


def test_corrupted_names_files_for_cifar_and_leaves_other_runs_their_own(opened, tmp_path, tiny_dataset):
    write_published(tmp_path / "files", tiny_dataset.test.labels)
    for name, source in (("cifar10", "published"), ("digits", "regenerated")):
        run = opened(name)
        evaluate(run, "corruption", sample=2, corrupted="files")
        assert source_of(run) == source
        assert "already evaluated" in evaluate(run, "corruption", sample=2, corrupted="files")[0]


def test_that_nothing_is_to_do_is_told_without_a_data_set_or_a_network(opened, monkeypatch):
    run = opened()
    names = ("accuracy", "fgsm", "occlusion", "released", "corruption")
    evaluate(run, *names, sample=2)
    for loaded in ("dataset_for", "load_classifier"):
        monkeypatch.setattr(runs, loaded, lambda *given: pytest.fail("nothing should be read"))
    assert "already evaluated" in evaluate(run, *names, sample=2)[0]


def test_evaluators_and_roles_share_a_loader_for_every_number_of_images(opened, monkeypatch):
    made, eval_loader = [], runs.eval_loader
    monkeypatch.setattr(runs, "eval_loader", lambda *a, sample, **k: made.append(sample) or eval_loader(*a, **k))
    evaluate_run(opened(), ("accuracy", "calibration", "fgsm", "occlusion"), sample=2, device="cpu", log=str)
    assert made == [None, 2]


def test_a_result_of_an_older_version_that_lacks_a_value_is_evaluated_anew(opened):
    run = opened()
    evaluate(run, "accuracy")
    stored = run.metrics("accuracy", "student")
    fewer = {name: value for name, value in stored["value"].items() if name != "balanced"}
    run.write_metrics("accuracy", "student", stored | {"value": fewer})
    with pytest.raises(UserError, match=rf"{run.id} has no balanced: an older version.*evaluate {run.path} --eval"):
        table([run], value="balanced")
    assert "accuracy of the student" in evaluate(run, "accuracy")[0]
    assert table([run], value="balanced")["mean"].tolist() == [stored["value"]["balanced"]]


def test_other_published_files_in_a_folder_of_the_same_name_are_noticed(opened, tmp_path, tiny_dataset):
    run = opened("cifar10")
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        write_published(tmp_path / place / "CIFAR-10-C", tiny_dataset.test.labels)
    other = tmp_path / "b" / "CIFAR-10-C" / "gaussian_noise.npy"
    np.save(other, np.load(other) + 1)
    recorded = []
    for place in ("a", "b", "a"):
        asked = {"sample": 2, "corrupted": f"{place}/CIFAR-10-C"}
        assert "corruption of the student" in evaluate(run, "corruption", **asked)[0]
        assert "already evaluated" in evaluate(run, "corruption", **asked)[0]
        recorded.append(run.metrics("corruption", "student")["settings"]["checksum"])
    assert recorded[0] == recorded[2] != recorded[1]


def test_published_files_that_are_gone_are_named(opened, tmp_path, tiny_dataset):
    run = opened("cifar10")
    write_published(tmp_path / "files", tiny_dataset.test.labels)
    evaluate(run, "corruption", sample=2, corrupted="files")
    (tmp_path / "files" / "labels.npy").unlink()
    with pytest.raises(UserError, match=f"{run.id}: corruption: .*labels.npy"):
        evaluate(run, "corruption", sample=2, corrupted="files")
