"""The networks that come with the workbook: are they small, whole, and what they say they are?"""

import re
import shutil

import pytest
import torch
from helpers import ROOT
from helpers.training import tiny_config

from adautomix import load_classifier, load_method, reference_run, train
from adautomix.data import whole_photos
from adautomix.evaluate.runs import evaluate_run
from adautomix.methods import METHODS, mask_statistics
from adautomix.methods.learned import GeneratorMethod
from adautomix.runs import publish, reference_mixes
from adautomix.runs.run import Run, find_runs
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_json

FOLDER = ROOT / "outputs" / "reference" / "small_data" / "networks"
LEARNED = [name for name in METHODS if issubclass(METHODS[name], GeneratorMethod)]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = tiny_config(method="adautomix", epochs=1, per_class=4)
    run = train(config, folder / "own", log=lambda line: None)
    return run, publish(run, folder / "public")


def test_a_published_run_has_the_teacher_and_the_generator_rounded_to_bfloat16(published):
    run, public = published
    assert (public.id, public.roles, public.done) == (run.id, ("teacher",), True)
    ours, theirs = (load_classifier(r, "teacher").state_dict() for r in (run, public))
    assert all(torch.equal(theirs[k], ours[k].bfloat16().float()) for k in ours if ours[k].is_floating_point())
    generator, rounded = (load_method(r).generator.state_dict() for r in (run, public))
    assert all(torch.equal(rounded[k], generator[k].bfloat16().float()) for k in generator)
    assert public.history.equals(run.history)
    assert sorted(p.suffix for p in public.path.iterdir() if p.is_file()) == ["", ".csv", ".json", ".safetensors"]


def test_a_run_is_not_published_into_itself(published):
    run, _ = published
    with pytest.raises(UserError, match=f"{run.path} would be published into itself; give another folder"):
        publish(run, run.path.parent)
    assert run.roles == ("student", "teacher")


def test_its_student_is_asked_for_in_vain_and_its_teacher_is_evaluated(published):
    _, public = published
    with pytest.raises(UserError, match="is published without its student: it has the teacher"):
        load_classifier(public, "student")
    assert evaluate_run(public, ["calibration"], log=lambda line: None)
    assert public.metrics("calibration", "teacher") is not None
    assert public.metrics("calibration", "student") is None


def test_settings_that_say_nothing_to_others_are_replaced(published, tmp_path):
    run, _ = published
    told = publish(run, tmp_path, label="ten digits", data="cifar10", root=None)
    assert (told.config.data, told.info["dataset"]["label"]) == ("cifar10", "ten digits")
    with pytest.raises(UserError, match="unknown config field 'dat'; did you mean 'data'"):
        publish(run, tmp_path, dat="cifar10")
    (run.path / "DONE").unlink()
    with pytest.raises(UserError, match="is not trained to its end, and so not published"):
        publish(run, tmp_path)
    run.finish()


def test_the_reference_networks_take_three_megabytes_and_tell_of_no_machine():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix == ".safetensors") <= 3_000_000
    assert {run.config.method for run in find_runs(FOLDER)} == set(LEARNED)
    for path in files:
        if path.suffix in (".json", ".csv"):
            assert not re.search(r'"/\w', path.read_text())  # an absolute path
    config = reference_run("adautomix").config
    assert (config.data, config.per_class, config.epochs, config.root) == ("cifar10", 100, 150, None)


def test_the_reference_network_takes_the_cat_for_a_cat():
    x, names = whole_photos(32)
    run = reference_run()
    answer = load_classifier(run, "teacher")(x[names.index("cat")][None]).logits["one"].argmax().item()
    assert run.info["dataset"]["classes"][answer] == "cat"


def test_an_unknown_reference_network_is_named():
    with pytest.raises(UserError, match="unknown reference network 'mixup'"):
        reference_run("mixup")


def test_every_method_that_mixes_a_batch_mixes_the_photographs_and_learned_masks_follow_them():
    (x, _), (seen, _) = whole_photos(64), whole_photos(32)
    mixes = reference_mixes(x, seen)
    assert set(mixes) == set(METHODS) - {"vanilla", "manifoldmix", "recursivemix"}  # hidden features, the step before
    assert all(mixed.x.shape == x.shape for mixed in mixes.values())
    for name in LEARNED:
        told = mask_statistics(mixes[name])
        assert min(told["within"], told["across"]) > 0.02
        assert 0.2 < told["soft"] < 0.999
    assert mask_statistics(mixes["mixup"])["within"] == 0
    assert mask_statistics(mixes["cutmix"])["soft"] == 0


def test_an_imported_run_is_not_published_and_damaged_weights_are_told(tmp_path):
    source = reference_run()
    shutil.copytree(source.path, tmp_path / "run")
    (tmp_path / "run" / "teacher.safetensors").write_bytes(source.weights.read_bytes()[:999])
    with pytest.raises(UserError, match=r"teacher\.safetensors is damaged"):
        load_classifier(tmp_path / "run", "teacher")
    write_json(tmp_path / "run" / "config.json", source.info | {"imported": {"file": "x.pth"}})
    with pytest.raises(UserError, match="was imported"):
        publish(Run(tmp_path / "run"), tmp_path / "published")
    assert not (tmp_path / "published").exists()
