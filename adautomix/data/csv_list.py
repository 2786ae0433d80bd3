"""A CSV of image paths and labels; paths are relative to its folder, or absolute.

Either one file, with a column that says which part a row belongs to or without (a fixed share of every class is then
held out for test), or train.csv beside test.csv. Columns are found by the names in use, in any letter case; what else
there is stays unread.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from adautomix.data.base import Dataset
from adautomix.data.class_folders import READ, others_told, suffix
from adautomix.data.class_names import Named, left_out, part_named, parts_of, splits_of
from adautomix.data.equal_files import equal_files
from adautomix.data.fingerprints import file_parts, fingerprint
from adautomix.data.folder import DEFAULT_SIZE, own_images, own_label
from adautomix.data.images import EXTENSIONS
from adautomix.utils.errors import UserError, first_five, first_line

PATHS = ("path", "file", "filename", "filepath", "file_name", "file_path", "image", "image_path", "img")
LABELS = ("label", "class", "target", "category", "class_name", "label_name")
PARTS = ("split", "part", "subset", "set", "partition")
"""Names of columns, the first there is taken; `PARTS` hold names such as train and test."""
SUFFIXES = (".csv", ".tsv")
Row = tuple[str, str, str | None]
"""Path as written, label, and part if there is such a column."""


def load(*, root: Path | None = None, size: int | None = None, allow_missing_classes: bool = False) -> Dataset:
    """Return the images a CSV lists, to be read at `size` px (default 32): shorter side, then centre square.

    Args:
        root: the file, or a folder with one, or with train.csv and test.csv.
        allow_missing_classes: as for `folder`.
    Raises: UserError for a file that cannot be read, columns that are not there, files that do not exist, a part or a
        class without images.
    """
    found: dict[str | None, list[tuple[Path, Row]]] = {}
    lists = _lists(root)
    for file in lists:
        named = part_named([file.stem]) if len(lists) > 1 else None
        for row in read_list(file):
            found.setdefault(part_named([row[2]]) if row[2] is not None else named, []).append((file, row))
    strange = sorted({str(row[2]) for _, row in found.get(None, []) if row[2] is not None})
    if strange and (len(found) > 1 or strange != [""]):  # a column that is empty throughout says nothing
        raise UserError(
            f"{root} has rows of the part {first_five(strange)}; name them train, test or validation, or give the "
            f"column another name than {', '.join(PARTS)}"
        )
    given = parts_of(found, root)
    named = [None if part is None else _named(part, root) for part in given]
    splits = splits_of(*named, allow_missing=allow_missing_classes)
    paths, labels = splits.images, splits.labels
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise UserError(f"{root} names {len(missing)} image(s) that do not exist: {first_five(missing)}")
    written = {file.parent / path: path for part in given if part for file, (path, *_) in part}
    parts = file_parts([written[path] for path in paths], paths, content=True)
    known = fingerprint([splits.counts, *parts, *(splits.classes[k] for k in labels)])
    remarks = [*left_out(found, root), *equal_files(parts, labels, len(splits.train), paths, splits.held)]
    label = own_label("csv", root.with_suffix("") if root.is_file() else root)
    return own_images("csv", label, splits, size or DEFAULT_SIZE, known, remarks)


def read_list(file: Path) -> list[Row]:
    """Return the rows of a CSV (with commas, semicolons or tabs); raises UserError saying what it must hold."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(text.splitlines(), delimiter=_separator(text), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read as a CSV in UTF-8 ({first_line(error)})") from error
    head = [name.strip().lower() for name in lines[0]] if lines else []
    path, label, part = (next((head.index(n) for n in names if n in head), None) for names in (PATHS, LABELS, PARTS))
    if path is None or label is None:
        raise UserError(
            f"the first line of {file} must name a column of paths ({', '.join(PATHS)}) and one of labels "
            f"({', '.join(LABELS)}), got {', '.join(head[:10]) or 'nothing'}"
        )
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) != len(head) or not line[path].strip() or not line[label].strip():
            raise UserError(f"line {number} of {file} must hold a path and a label in {len(head)} fields, got {line}")
        rows.append((line[path].strip(), line[label].strip(), None if part is None else line[part].strip()))
    if not rows:
        raise UserError(f"{file} names no image")
    return rows


def _lists(root: Path | None) -> list[Path]:
    if root is None:
        raise UserError("the data set csv needs a root: a CSV of paths and labels, or the folder that holds it")
    if root.is_file():
        return [root]
    if not root.is_dir():
        where = "" if root.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"there is no {root}{where}; root is a CSV of paths and labels, or the folder that holds it")
    files = sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    named = [path for path in files if part_named([path.stem])]
    if len(files) != 1 and not any(part_named([path.stem]) == "train" for path in named):
        names = ", ".join(path.name for path in files) or "none"
        raise UserError(f"{root} must hold one CSV, or train.csv and test.csv, found {names}; name the file itself")
    return files if len(files) == 1 else named


def _separator(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _named(rows: Sequence[tuple[Path, Row]], root: Path) -> Named:
    strange = [path for _, (path, *_) in rows if suffix(path) not in EXTENSIONS]
    if strange:
        raise UserError(f"{root} names {len(strange)} file(s) that are no images{others_told(strange)}; {READ}")
    files = {file.name for file, _ in rows}
    where = str(root) if root.name in files else f"{root} ({', '.join(sorted(files))})"
    return Named(where, [file.parent / path for file, (path, *_) in rows], [label for _, (_, label, _) in rows])
