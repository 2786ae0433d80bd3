"""Is an imported checkpoint a Run like any other, and is a file that does not fit refused with the reason?"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import in_their_layout, large_networks, small_networks, write_checkpoint
from helpers.trees import write_tree

from adautomix.evaluate.runs import evaluate_run
from adautomix.imported import import_checkpoint
from adautomix.recipes.released import IMAGES
from adautomix.results import cells, epochs, overview, scores
from adautomix.runs.networks import load_classifier, load_method
from adautomix.runs.run import find_runs
from adautomix.training.loop import train
from adautomix.utils.errors import UserError

THEIRS = os.environ.get("ADAUTOMIX_CHECKPOINT")


@pytest.fixture(scope="module")
def networks():
    return small_networks()


@pytest.fixture
def file(tmp_path, networks):
    return write_checkpoint(tmp_path / "theirs.pth", in_their_layout(*networks))


def test_student_teacher_and_generator_are_the_files(tmp_path, networks, file):
    run = import_checkpoint(file, tmp_path / "runs", log=lambda line: None)
    x = torch.rand(3, 3, 32, 32)
    for role, network in zip(("student", "teacher"), networks, strict=False):
        ours, theirs = load_classifier(run, role)(x, ("one", "mix"), tap=True), network(x, ("one", "mix"), tap=True)
        assert all(torch.equal(ours.logits[head], theirs.logits[head]) for head in ("one", "mix"))
        assert torch.equal(ours.tap, theirs.tap)
    assert torch.equal(load_method(run).generator.query.weight, networks[2].query.weight)


@pytest.mark.skipif(THEIRS is None, reason="ADAUTOMIX_CHECKPOINT names no .pth of the authors' with its .npz beside it")
def test_a_file_of_the_authors_gives_what_their_class_gave_for_it(tmp_path):
    """Images, normalisation, logits and taps of both networks are in the .npz; weights are not kept in git."""
    given = {name: torch.from_numpy(array) for name, array in np.load(Path(THEIRS).with_suffix(".npz")).items()}
    run = import_checkpoint(THEIRS, tmp_path / "runs", log=lambda line: None)
    for role in ("student", "teacher"):
        network = load_classifier(run, role)
        assert torch.allclose(network.mean.flatten(), given["mean"].float())
        assert torch.allclose(network.std.flatten(), given["std"].float())
        ours = network(given["images"], ("one", "mix"), tap=True)
        for name, ours_too in {**ours.logits, "tap": ours.tap}.items():
            assert (ours_too - given[f"{role}_{name}"]).abs().max() < 1e-6


def test_the_run_says_where_it_comes_from_and_is_imported_once(tmp_path, file):
    lines = []
    run = import_checkpoint(file, tmp_path / "runs", log=lines.append)
    assert lines[0].startswith("resnet18 of width 8, 7 classes, for folder: student, teacher, generator; epoch 12")
    assert run.imported
    assert (run.info["imported"]["file"], run.info["imported"]["epoch"]) == ("theirs.pth", 12)
    assert len(run.info["imported"]["sha256"]) == 64
    assert run.history.empty
    assert [found.id for found in find_runs(tmp_path, method="adautomix")] == [run.id]
    assert import_checkpoint(file, tmp_path / "runs", log=lines.append).path == run.path
    assert "already imported" in lines[-1]
    again = import_checkpoint(file, tmp_path / "runs", root="elsewhere", log=lines.append)  # with another place
    assert (again.path, again.config.root) == (run.path, "elsewhere")
    assert "already imported" not in lines[-1]


def test_it_is_evaluated_and_its_images_are_known_from_then_on(tmp_path, file):
    write_tree("folder", tmp_path / "images", classes=7)
    run = import_checkpoint(file, tmp_path / "runs", root=str(tmp_path / "images"), log=lambda line: None)
    mean = run.info["dataset"]["mean"]
    assert evaluate_run(run, ["accuracy", "calibration"], log=lambda line: None)
    assert run.metrics("accuracy", "teacher")["n_images"] == 14
    assert run.info["dataset"]["fingerprint"] is not None
    assert run.info["dataset"]["mean"] == mean
    lines = []
    assert evaluate_run(run, ["accuracy", "calibration"], log=lines.append)
    assert "already evaluated" in lines[0]
    write_tree("folder", tmp_path / "others", classes=7, test=3)
    others = {"root": str(tmp_path / "others"), "log": lines.append}
    assert not evaluate_run(run, ["fgsm"], **others)
    assert "no longer holds the images it was evaluated on (--force takes these)" in lines[-1]
    assert evaluate_run(run, ["accuracy"], force=True, **others)
    assert run.metrics("accuracy", "teacher")["n_images"] == 21
    assert run.metrics("calibration", "teacher") is None  # it was of other images


def test_images_of_other_classes_are_refused(tmp_path, file):
    write_tree("folder", tmp_path / "images", classes=3)
    run = import_checkpoint(file, tmp_path / "runs", root=str(tmp_path / "images"), log=lambda line: None)
    with pytest.raises(UserError, match="the imported network has 7 classes, folder-images has 3"):
        evaluate_run(run, log=lambda line: None)


def test_tables_of_histories_leave_it_out(tmp_path, file):
    run = import_checkpoint(file, tmp_path / "runs", log=lambda line: None)
    assert scores([run])["top1"].isna().all()
    assert epochs([run]).empty


def test_the_papers_table_shows_what_was_measured_and_says_that_it_was_imported(tmp_path, monkeypatch):
    write_tree("imagenet", tmp_path / "images", classes=4)
    shutil.rmtree(tmp_path / "images" / "train")  # validation images are enough
    monkeypatch.setitem(IMAGES, "imagenet", (4, 16))
    file = write_checkpoint(tmp_path / "a.pth", in_their_layout(*large_networks(classes=4)))
    where = {"recipe": "imagenet_resnet18/adautomix", "root": str(tmp_path / "images")}
    run = import_checkpoint(file, tmp_path / "runs", log=lambda line: None, **where)
    assert evaluate_run(run, roles=["teacher"], log=lambda line: None)
    made = cells([run], 1).set_index(["column", "method", "role"])
    cell = made.loc[("imagenet_resnet18", "adautomix", "teacher")]
    assert (cell["n"], cell["mean"]) == (1, run.metrics("accuracy", "teacher")["value"]["top1"])
    shown = overview(cells([run], 1)).loc["adautomix", "ImageNet-1K, ResNet-18"]
    assert shown == f"70.86 / no log / {cell['mean']:.2f} (imported weights, 8 images)"


def test_one_network_is_student_and_teacher_and_has_no_generator(tmp_path, networks):
    theirs = in_their_layout(*networks)
    state = {name: tensor for name, tensor in theirs.items() if name.startswith(("backbone.", "head."))}
    lines = []
    run = import_checkpoint(write_checkpoint(tmp_path / "a.pth", state), tmp_path / "runs", log=lines.append)
    assert "one network, shown as student and as teacher" in lines[0]
    assert run.config.method == "vanilla"
    x = torch.rand(2, 3, 32, 32)
    logits = [load_classifier(run, role)(x).logits["one"] for role in ("student", "teacher")]
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], networks[1](x).logits["one"])


def test_a_recipe_is_taken_if_the_network_is_its_own(tmp_path, networks):
    file = write_checkpoint(tmp_path / "a.pth", in_their_layout(*small_networks(classes=100, width=None)))
    narrow = write_checkpoint(tmp_path / "narrow.pth", in_their_layout(*networks))
    with pytest.raises(UserError, match="has 100 classes and width 64, the file 7 and width 8"):
        import_checkpoint(narrow, tmp_path / "runs", recipe="cifar100_resnet18/adautomix")
    run = import_checkpoint(file, tmp_path / "runs", recipe="cifar100_resnet18/adautomix", log=lambda line: None)
    assert (run.config.data, run.config.ema.teacher_bn) == ("cifar100", "batch")
    with pytest.raises(UserError, match="is of resnext50_32x4d, the file holds resnet18"):
        import_checkpoint(file, tmp_path / "runs", recipe="cifar100_resnext50/adautomix")
    with pytest.raises(UserError, match="is of cifar100, got --data digits"):
        import_checkpoint(file, tmp_path / "runs", recipe="cifar100_resnet18/adautomix", data="digits")
    with pytest.raises(UserError, match="unknown data set 'cifar1000'; did you mean 'cifar100'"):
        import_checkpoint(file, tmp_path / "runs", data="cifar1000")
    with pytest.raises(UserError, match="the recipe's method is mixup"):
        import_checkpoint(file, tmp_path / "runs", recipe="cifar100_resnet18/mixup")


def test_training_does_not_take_it_for_a_trained_run(tmp_path, file):
    write_tree("folder", tmp_path / "images", classes=7)
    run = import_checkpoint(file, tmp_path / "runs", root=str(tmp_path / "images"), log=lambda line: None)
    trained = train(replace(run.config, epochs=1, batch_size=4), tmp_path / "runs", log=lambda line: None)
    assert trained.path != run.path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("backbone_q.layer2.0.conv1.weight"), r"1 missing: net\.layer2\.0\.conv1\.weight"),
        (lambda s: s.update({"backbone_k.layer9.weight": torch.zeros(1)}), r"1 left over: net\.layer9\.weight"),
        (
            lambda s: s.update({"head_mix_k.fc.bias": torch.zeros(3)}),
            r"1 of another shape: heads\.mix\.bias \(3,\) for \(7,\)",
        ),
        (lambda s: s.update({"mix_block.conv_q.conv.weight": torch.zeros(5, 9, 1, 1)}), "generator takes 9 channels"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_leaves_nothing(tmp_path, networks, change, message):
    state = in_their_layout(*networks)
    change(state)
    with pytest.raises(UserError, match=message):
        import_checkpoint(write_checkpoint(tmp_path / "a.pth", state), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_file_that_needs_more_than_tensors_is_refused(tmp_path, networks):
    file = write_checkpoint(tmp_path / "a.pth", in_their_layout(*networks), model=torch.nn.Linear(1, 1))
    with pytest.raises(UserError, match=r"is not read: it needs torch\.nn\.modules\.linear\.Linear"):
        import_checkpoint(file, tmp_path / "runs")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read as a checkpoint"), (b"name,shape\n", "is no checkpoint that torch wrote")],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content, message):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match=message):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "runs")
    torch.save({"state_dict": {"a": 3}}, tmp_path / "b.pth")
    with pytest.raises(UserError, match="holds no state_dict, a mapping from names to tensors"):
        import_checkpoint(tmp_path / "b.pth", tmp_path / "runs")
    with pytest.raises(UserError, match=r"there is no file nowhere\.pth"):
        import_checkpoint("nowhere.pth", tmp_path / "runs")
