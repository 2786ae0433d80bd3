"""New image files: a Run says what it takes them for, as the evaluators read them."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from helpers import ROOT
from PIL import Image

from adautomix import classify
from adautomix.data.images import read_for_test
from adautomix.evaluate.new_images import _images
from adautomix.runs.checkpoint import load, save
from adautomix.runs.networks import load_classifier
from adautomix.runs.run import Run, find_runs
from adautomix.utils.errors import UserError


@pytest.fixture
def run():
    return find_runs(ROOT / "tests" / "golden" / "run", method="adautomix")[0]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "below").mkdir()
    rng = torch.Generator().manual_seed(0)
    for name in ("b.png", "a.PNG", "below/c.png"):
        pixels = torch.randint(0, 256, (20, 30, 3), dtype=torch.uint8, generator=rng)
        Image.fromarray(pixels.numpy()).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_classes_are_those_of_the_network_most_probable_first(run, files, role):
    told = classify(run, [files], role=role, top=2)
    assert [(file.removeprefix(f"{files}/"), rank) for file, rank in zip(told["file"], told["rank"], strict=True)] == [
        (name, rank) for name in ("a.PNG", "b.png", "below/c.png") for rank in (1, 2)
    ]
    images, classes = run.info["dataset"]["size"], run.info["dataset"]["classes"]
    x = torch.stack([read_for_test(Path(file), images) for file in dict.fromkeys(told["file"])]) / 255
    shares, ids = load_classifier(run, role)(x).logits["one"].softmax(dim=1).topk(2)
    assert told["class"].tolist() == [classes[k] for row in ids for k in row]
    assert told["probability"].tolist() == pytest.approx(shares.flatten().tolist(), abs=1e-6)


def test_a_folder_of_a_run_will_do_and_a_chosen_temperature_is_used(run, files, tmp_path_factory):
    copied = shutil.copytree(run.path, tmp_path_factory.mktemp("copied") / "run")
    plain = classify(copied, [files / "b.png"])
    (kept,) = find_runs(copied)
    kept.write_metrics("temperature", "student", {"value": {"temperature": 50.0}, "n_images": 3})
    calm = classify(copied, [files / "b.png"])
    assert plain["class"].tolist() == calm["class"].tolist()
    assert calm["probability"][0] < plain["probability"][0]
    assert calm["probability"][0] == pytest.approx(1 / len(kept.info["dataset"]["classes"]), abs=0.05)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no image file was given"),
        (["nowhere.png"], "there is no file or folder"),
        (["empty"], "holds no image file"),
        (["notes.txt"], "notes.txt"),
    ],
)
def test_what_is_no_image_is_told(run, files, given, message):
    (files / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        classify(run, [files / name for name in given])


def test_one_file_needs_no_list_and_one_that_cannot_be_read_need_not_lose_the_others(run, files):
    (files / "broken.png").write_bytes(b"no picture")
    assert classify(run, str(files / "b.png"), top=1)["file"].tolist() == [str(files / "b.png")]
    with pytest.raises(UserError, match=r"broken\.png"):
        classify(run, files)
    told = []
    assert classify(run, files, top=1, unreadable=told.append)["rank"].tolist() == [1, 1, 1]
    assert len(told) == 1
    assert "broken.png" in str(told[0])
    assert classify(run, files / "broken.png", unreadable=told.append).empty


def test_the_package_of_a_method_is_not_needed_to_look_at_what_it_trained(run, files):
    copied = shutil.copytree(run.path, files / "copied")
    config = (copied / "config.json").read_text()
    (copied / "config.json").write_text(config.replace('"method": "adautomix"', '"method": "somebodys"'))
    for role in ("student", "teacher"):
        assert load_classifier(copied, role).heads.keys() == load_classifier(run, role).heads.keys()
    assert classify(copied, files / "b.png").equals(classify(run, files / "b.png"))


def test_a_network_whose_outputs_are_not_finite_says_nothing_of_images(run, files):
    broken = Run(shutil.copytree(run.path, files / "broken"))
    state = load(broken.checkpoint)
    state["student"]["heads.one.bias"].fill_(torch.nan)
    save(broken.checkpoint, state)
    with pytest.raises(UserError, match="outputs are not finite"):
        classify(broken, files / "b.png")


def test_of_equally_probable_classes_the_first_is_named_first(run, files):
    unsure = Run(shutil.copytree(run.path, files / "unsure"))
    state = load(unsure.checkpoint)
    for part in ("weight", "bias"):
        state["student"][f"heads.one.{part}"].zero_()
    save(unsure.checkpoint, state)
    assert classify(unsure, files / "b.png", top=20)["class"].tolist() == run.info["dataset"]["classes"]


def test_at_least_one_class_is_asked_for(run, files):
    with pytest.raises(UserError, match="top must be 1 or more"):
        classify(run, [files], top=0)


def test_what_a_system_left_beside_the_pictures_is_no_picture(tmp_path):
    for name in ("a.png", ".ipynb_checkpoints/a-checkpoint.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    (tmp_path / "._a.png").write_bytes(b"a Mac's")
    assert list(_images([tmp_path])) == [tmp_path / "a.png"]


def test_a_file_named_twice_has_its_rows_twice(run, files):
    told = classify(run, [files / "b.png", files / "b.png"], top=1)
    assert told["file"].tolist() == [str(files / "b.png")] * 2
    assert told["probability"].nunique() == 1


def test_a_name_that_is_not_utf_8_can_be_written(run, files):
    shutil.copy(files / "b.png", os.path.join(os.fsencode(files), b"\xe9t\xe9.png"))
    told = classify(run, [files], top=1)
    assert [file for file in told["file"] if "xe9" in file] == [f"{files}/\\xe9t\\xe9.png"]
    told.to_csv(files / "told.csv")
