"""Images named by a CSV of paths and labels."""

import shutil

import pytest
import torch
from helpers.trees import insects

from adautomix.data import DATASETS, load_dataset
from adautomix.utils.errors import UserError


@pytest.fixture
def tree(tmp_path):
    return insects(tmp_path)


def rows_of(tree, *parts):
    """Return (path below the tree, label, part) of its images."""
    return [
        (path.relative_to(tree).as_posix(), path.parent.name, path.parts[-3])
        for part in parts
        for path in sorted((tree / part).rglob("*.png"))
    ]


def write(file, head, rows, separator=","):
    file.write_text("\n".join(separator.join(map(str, row)) for row in [head, *rows]) + "\n", encoding="utf-8-sig")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_gives_the_same_images_as_the_folders_it_lists(tree, separator):
    write(tree / "all.csv", ("Image_Path", "Class", "Split"), rows_of(tree, "train", "test"), separator)
    listed, folders = load_dataset("csv", root=tree / "all.csv", size=16), load_dataset("folder", root=tree, size=16)
    assert (listed.name, listed.label, listed.classes) == ("csv", "csv-all", ("ants", "bees"))
    for part in ("train", "test"):
        assert torch.equal(getattr(listed, part).images, getattr(folders, part).images)
        assert torch.equal(getattr(listed, part).labels, getattr(folders, part).labels)


def test_a_csv_a_part_or_one_without_parts_will_do(tree):
    for part in ("train", "test"):
        write(tree / f"{part}.csv", ("file", "label"), [row[:2] for row in rows_of(tree, part)])
    both = DATASETS["csv"](root=tree)
    assert [len(both.train), len(both.test)] == [12, 6]
    alone = DATASETS["csv"](root=tree / "train.csv")
    assert [len(alone.train), len(alone.test)] == [8, 4]


def test_rows_of_a_csv_called_val_beside_those_called_test_are_for_validation(tree):
    rows = rows_of(tree, "train", "test")
    again = [(path, name, "val") for path, name, part in rows if part == "test"]
    write(tree / "all.csv", ("path", "label", "split"), [*rows, *again])
    found = DATASETS["csv"](root=tree)
    assert found.validation.paths == found.test.paths
    write(tree / "all.csv", ("path", "label", "split"), [*rows, *again, *((p, n, "valid") for p, n, _ in again)])
    told = f"valid of {tree} is left out: test is what is tested on, val what is validated on"
    assert told in DATASETS["csv"](root=tree).remarks


def test_a_csvs_fingerprint_follows_images_and_labels(tree):
    rows = rows_of(tree, "train", "test")
    write(tree / "all.csv", ("path", "label", "split"), rows)
    before = DATASETS["csv"](root=tree).fingerprint
    other = {"ants": "bees", "bees": "ants"}
    swapped = [(rows[0][0], other[rows[0][1]], rows[0][2]), *rows[1:]]
    write(tree / "all.csv", ("path", "label", "split"), swapped)
    assert DATASETS["csv"](root=tree).fingerprint != before


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        (("a", "b"), [("x", "y")], r"must name a column of paths \(path, file, .* got a, b"),
        (("path", "label"), [], "names no image"),
        (("path", "label"), [("a.png",)], "line 2 of .* must hold a path and a label in 2 fields"),
        (("path", "label"), [("a.mov", "x")], r"1 file\(s\) that are no images \(1 \.mov\)"),
        (
            ("path", "label"),
            [("a.png", "x"), ("b.png", "y"), ("c.png", "y"), ("d.png", "x")],
            r"4 image\(s\) that do not",
        ),
        (("path", "label"), [("a.png", "x"), ("b.png", "x")], "two or more classes, found 1"),
        (("path", "label", "split"), [("a.png", "x", "train"), ("b.png", "x", "fold 3")], "rows of the part fold 3"),
        (("path", "label", "split"), [("a.png", "x", "trn"), ("b.png", "y", "tst")], "rows of the part trn; tst; name"),
        (("path", "label", "split"), [("a.png", "x", "test")], "holds only test and no part called train"),
        (("path", "label"), [('"a.png', "x")], "cannot be read as a CSV"),
    ],
)
def test_a_csv_that_does_not_hold_paths_and_labels_is_told_why(tmp_path, head, rows, message):
    write(tmp_path / "wrong.csv", head, rows)
    with pytest.raises(UserError, match=message):
        DATASETS["csv"](root=tmp_path / "wrong.csv")


def test_a_csv_may_lack_classes_if_allowed_and_a_copy_is_told(tree):
    rows = [row for row in rows_of(tree, "train", "test") if row[1:] != ("bees", "test")]
    shutil.copy(tree / "train" / "ants" / "0.png", tree / "test" / "ants" / "0.png")
    write(tree / "all.csv", ("path", "label", "split"), rows)
    with pytest.raises(UserError, match="in one only: bees; to go on without them: --allow-missing-classes"):
        DATASETS["csv"](root=tree)
    lacks, seen = DATASETS["csv"](root=tree, allow_missing_classes=True).remarks
    assert "no image of 1 class(es): bees" in lacks
    assert seen.startswith("1 of 3 test image(s) are training images too")


@pytest.mark.parametrize("make", [lambda f: None, lambda f: [(f / n).write_text("x") for n in ("a.csv", "b.csv")]])
def test_which_csv_is_meant_must_be_clear(tmp_path, make):
    make(tmp_path)
    with pytest.raises(UserError, match=r"must hold one CSV, or train.csv and test.csv, found (none|a.csv, b.csv)"):
        DATASETS["csv"](root=tmp_path)
    with pytest.raises(UserError, match="there is no "):
        DATASETS["csv"](root=tmp_path / "gone.csv")
    with pytest.raises(UserError, match="needs a root"):
        DATASETS["csv"](root=None)


def test_the_same_images_divided_otherwise_are_another_set(tree):
    rows = rows_of(tree, "train", "test")
    found = set()
    for last in (len(rows) - 6, len(rows) - 2):
        divided = [(path, name, "train" if k < last else "test") for k, (path, name, _) in enumerate(rows)]
        write(tree / "all.csv", ("path", "label", "split"), divided)
        found.add(DATASETS["csv"](root=tree / "all.csv", allow_missing_classes=True).fingerprint)
    assert len(found) == 2


def test_a_folder_with_a_dot_in_its_name_keeps_it_in_the_label(tree, tmp_path):
    for name in ("birds.v1", "birds.v2"):
        shutil.copytree(tree, tmp_path / "two" / name)
        write(tmp_path / "two" / name / "all.csv", ("path", "label", "split"), rows_of(tree, "train", "test"))
        assert DATASETS["csv"](root=tmp_path / "two" / name).label == f"csv-{name}"


def test_a_column_of_parts_that_is_empty_throughout_says_nothing(tree):
    rows = [(path, label, "") for path, label, _ in rows_of(tree, "train")]
    write(tree / "all.csv", ("path", "label", "split"), rows)
    dataset = DATASETS["csv"](root=tree)
    assert len(dataset.train) + len(dataset.test) == len(rows)
