"""Somebody else's folder: what systems leave behind, copies, other formats, and classes that a part lacks."""

import shutil
import sys
import warnings

import numpy as np
import pytest
from helpers.trees import insects
from PIL import Image, features

from adautomix import TrainConfig
from adautomix.data import DATASETS, dataset_for, describe, load_dataset
from adautomix.data.images import EXTENSIONS, MODULES, read_rgb
from adautomix.runs.identity import run_hash
from adautomix.training import train
from adautomix.utils.errors import UserError


@pytest.fixture
def tree(tmp_path):
    return insects(tmp_path)


def loaded(root, **options):
    return DATASETS["folder"](root=root, **options)


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", ".ipynb_checkpoints"])
def test_folders_that_systems_leave_behind_are_no_classes_and_hold_no_images(tree, name):
    before = loaded(tree)
    for place in (tree, tree / "train", tree / "test", tree / "train" / "ants", tree / "train" / "ants" / "deeper"):
        (place / name / "ants").mkdir(parents=True)
        shutil.copy(tree / "train" / "ants" / "0.png", place / name / "ants" / "again.png")
    after = loaded(tree)
    assert after.classes == ("ants", "bees")
    assert (list(after.train.paths), after.fingerprint) == (list(before.train.paths), before.fingerprint)
    assert after.remarks == ()


def test_equal_files_are_counted_and_three_named(tree):
    assert loaded(tree).remarks == ()
    for i in range(5):
        shutil.copy(tree / "train" / "bees" / f"{i}.png", tree / "test" / "bees" / f"seen_{i}.png")
    shutil.copy(tree / "train" / "ants" / "0.png", tree / "train" / "bees" / "an_ant.png")
    shutil.copy(tree / "train" / "ants" / "1.png", tree / "train" / "ants" / "1 (copy).png")
    crossing, doubtful, again = loaded(tree).remarks
    assert crossing == (
        "5 of 11 test image(s) are training images too, byte for byte: test/bees/seen_0.png = train/bees/0.png; "
        "test/bees/seen_1.png = train/bees/1.png; test/bees/seen_2.png = train/bees/2.png; and 2 more"
    )
    named = "train/ants/0.png = train/bees/an_ant.png"
    assert doubtful == f"1 image(s) lie in two classes, byte for byte: {named}"
    assert again.startswith(
        "1 image(s) are copies of another of their class on the same side of the split, byte for byte: train/ants/1"
    )


def test_a_copy_that_a_held_out_share_tears_apart_is_told_as_seen_in_training(tree):
    for i in range(1, 6):
        shutil.copy(tree / "train" / "ants" / "0.png", tree / "train" / "ants" / f"{i}.png")
    told = loaded(tree / "train").remarks
    assert told[0].startswith("2 of 4 test image(s) are training images too")


def test_files_that_differ_only_where_the_fingerprint_does_not_look_are_not_equal(tree):
    pixels, folder = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8), tree / "train" / "ants"
    Image.fromarray(pixels).save(folder / "a.pgm")
    pixels[50] = 0  # 10 kB in, between the first block and the middle
    Image.fromarray(pixels).save(folder / "b.pgm")
    assert loaded(tree).remarks == ()
    shutil.copy(folder / "a.pgm", folder / "c.pgm")
    (told,) = loaded(tree).remarks
    assert told.endswith("train/ants/c.pgm = train/ants/a.pgm")


def test_remarks_are_in_the_log_and_in_the_run_once_and_warned_of_where_a_set_is_loaded(tree, tmp_path):
    shutil.copy(tree / "train" / "ants" / "0.png", tree / "test" / "ants" / "seen.png")
    (tree / "train" / "ants" / "clip.mov").write_bytes(b"no image")
    shutil.copy(tree / "train" / "ants" / "1.png", tree / "train" / "loose.png")
    config, lines = TrainConfig(data="folder", root=str(tree), width=4, size=16, epochs=1, batch_size=6), []
    run = train(config, tmp_path / "runs", log=lines.append)
    left_out, loose, seen = run.info["dataset"]["remarks"]
    assert left_out.startswith(f"1 file(s) in the class folders of {tree} are left out (1 .mov); ")
    assert loose == f"1 image(s) of {tree} are left out: they lie in no class folder"
    assert seen.startswith("1 of 7 test image(s) are training images too")
    assert [line.removeprefix(f"{run.id}: ") for line in lines[:3]] == [left_out, loose, seen]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        load_dataset("folder", root=tree)
        load_dataset("folder", root=tree)
    assert [str(warning.message) for warning in said] == [left_out, loose, seen]
    assert "remarks" not in describe(load_dataset("digits"))


def test_what_a_class_folder_holds_instead_of_images_is_told(tree):
    for path in (tree / "train" / "bees").iterdir():
        path.rename(path.with_suffix(".npy"))
    with pytest.raises(UserError, match=r"bees holds no images \(6 \.npy\); images are read from .*\.gif"):
        loaded(tree)


FORMATS = {
    ".gif": {},
    ".jfif": {"format": "JPEG"},
    ".avif": {"lossless": True} if features.check("avif") else None,
    ".jp2": {},
    ".heic": {"quality": -1} if ".heic" in EXTENSIONS else None,
    ".jxl": {"lossless": True} if ".jxl" in EXTENSIONS else None,
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_images_of_every_format_that_pillow_reads_here_are_read(tree, suffix):
    if FORMATS[suffix] is None or suffix not in EXTENSIONS:
        pytest.skip(f"Pillow does not read {suffix} here")
    colour = np.zeros((24, 24, 3), dtype=np.uint8)
    colour[...] = (200, 30, 90)
    path = tree / "train" / "ants" / f"new{suffix.upper()}"
    Image.fromarray(colour).save(path, **FORMATS[suffix] | {"format": FORMATS[suffix].get("format")})
    dataset = load_dataset("folder", root=tree, size=16)
    assert path in list(dataset.train.files.paths)
    assert np.abs(np.asarray(read_rgb(path)).astype(int) - colour).max() <= 6
    assert len(dataset.train.images) == 13


def test_of_an_animated_gif_the_first_picture_is_read(tmp_path):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], duration=100)
    assert read_rgb(tmp_path / "a.gif").getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.skipif(all(name in sys.modules for name in MODULES.values()), reason="every plug-in is installed")
def test_a_format_that_needs_a_plug_in_names_it(tree):
    suffix, package = next(
        (s, p) for s, p in ((".heic", "pillow-heif"), (".jxl", "pillow-jxl-plugin")) if s not in EXTENSIONS
    )
    (tree / "train" / "ants" / f"phone{suffix}").write_bytes(b"some bytes")
    (told,) = loaded(tree).remarks
    assert f"(1 {suffix}); for some of them: pip install {package}; images are read from" in told


def test_a_test_part_that_lacks_classes_passes_only_if_allowed_and_says_so(tree, tmp_path):
    shutil.copytree(tree / "train" / "ants", tree / "train" / "wasps")
    shutil.copytree(tree / "test" / "ants", tree / "test" / "moths")
    with pytest.raises(UserError, match=r"in one only: moths; wasps; to go on without them: --allow-missing-classes"):
        loaded(tree)
    dataset = loaded(tree, allow_missing_classes=True)
    assert dataset.classes == ("ants", "bees", "wasps")
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert {path.parent.name for path in dataset.test.paths} == {"ants", "bees"}
    lacks, extra = dataset.remarks[:2]
    assert lacks == f"{tree / 'test'} holds no image of 1 class(es): wasps"
    assert extra == "3 test image(s) are left out, of 1 class(es) that nothing is trained on: moths"
    (tree / "test" / "wasps").mkdir()  # there, and empty
    assert loaded(tree, allow_missing_classes=True).remarks[0] == lacks


def test_a_run_on_a_test_part_that_lacks_a_class_is_evaluated_with_no_number_for_it(tree, tmp_path):
    shutil.rmtree(tree / "test" / "bees")
    config = TrainConfig(
        data="folder", root=str(tree), allow_missing_classes=True, width=4, size=16, epochs=1, batch_size=6
    )
    run = train(config, tmp_path / "runs", log=lambda line: None)
    value = run.metrics("accuracy", "student")["value"]
    assert value["per_class"][1] is None
    assert value["per_class"][0] == value["top1"]
    assert dataset_for(run.config).remarks == tuple(run.info["dataset"]["remarks"])


def test_allowing_it_where_nothing_is_missing_is_the_same_run(tree):
    plain = loaded(tree)
    allowed = loaded(tree, allow_missing_classes=True)
    assert allowed.fingerprint == plain.fingerprint
    configs = [TrainConfig(data="folder", allow_missing_classes=allow) for allow in (False, True)]
    assert len({run_hash(config, plain.fingerprint) for config in configs}) == 1


def test_a_test_part_without_any_trained_class_and_a_set_of_known_classes_are_refused(tree):
    for name in ("ants", "bees"):
        (tree / "test" / name).rename(tree / "test" / f"other_{name}")
    with pytest.raises(UserError, match="no image of a class that is trained on"):
        loaded(tree, allow_missing_classes=True)
    with pytest.raises(UserError, match="allow_missing_classes is for folder, csv, parquet; the classes of digits"):
        load_dataset("digits", allow_missing_classes=True)
