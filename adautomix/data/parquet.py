"""Parquet or Arrow files in the layout of Hugging Face `datasets`: a column of image files' bytes, and one of labels.

As a repository's files lie (`data/train-00000-of-00001.parquet`, `default/train/0000.parquet`) or as `save_to_disk`
writes them (`train/data-00000-of-00001.arrow`). Which part a file belongs to, its name or a folder's says. Arrow files
are mapped from the disk; of Parquet the encoded images are held in memory.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adautomix.data.base import Dataset
from adautomix.data.class_names import Named, left_out, part_named, parts_of, splits_of
from adautomix.data.equal_files import equal_files
from adautomix.data.fingerprints import fingerprint
from adautomix.data.folder import DEFAULT_SIZE, own_images, own_label, require_folder
from adautomix.data.images import EncodedImage
from adautomix.utils.errors import UserError, first_line

IMAGES = ("image", "img", "picture", "pixel_values")
LABELS = ("label", "labels", "fine_label", "class", "category", "target")
"""Names of columns; the first there is taken."""
METADATA = b"huggingface"
"""Key of a schema's metadata under which `datasets` keeps the names of the classes."""


def load(*, root: Path | None = None, size: int | None = None, allow_missing_classes: bool = False) -> Dataset:
    """Return the images of the files below `root`, to be read at `size` px (default 32).

    Args:
        allow_missing_classes: as for `folder`.
    Raises: UserError without pyarrow (the extra `parquet`), for files that cannot be read, columns that are not there,
        images or labels that are missing, or a part or a class without images.
    """
    require_folder(
        "parquet", root, "the folder of its files", "data/train-*.parquet and data/test-*.parquet, or train/*.arrow"
    )
    found: dict[str | None, list[Path]] = {}
    for file in _files(root):
        words = [*file.relative_to(root).parts[:-1], re.split(r"[-_.]", file.name)[0]]
        found.setdefault(part_named(words[::-1]), []).append(file)
    if None in found and len(found) > 1:
        del found[None]  # beside files of parts, what is of none
    named = [None if files is None else _named(files, root) for files in parts_of(found, root)]
    images = [None if part is None else part[0] for part in named]
    splits = splits_of(*images, named[0][1], allow_missing=allow_missing_classes)
    images, labels = splits.images, splits.labels
    parts = [(image.name, len(image.content), hashlib.sha256(image.content).hexdigest()) for image in images]
    known = fingerprint(
        [splits.counts, *((size, digest) for _, size, digest in parts), *(splits.classes[k] for k in labels)]
    )
    remarks = [*left_out(found, root), *equal_files(parts, labels, len(splits.train), held=splits.held)]
    return own_images("parquet", own_label("parquet", root), splits, size or DEFAULT_SIZE, known, remarks)


def _files(root: Path) -> list[Path]:
    """Return the files of a set; `datasets` keeps what it computed beside them, as cache-*.arrow."""
    found = sorted(path for path in root.rglob("*") if path.suffix in (".parquet", ".arrow"))
    found = [path for path in found if not path.name.startswith((".", "cache-"))]
    if not found:
        raise UserError(f"{root} holds no .parquet and no .arrow file")
    return found


def _named(files: Sequence[Path], root: Path) -> tuple[Named, list[str] | None]:
    """Return a part's images and their classes' names, and all classes if the files name them."""
    images, labels, classes = [], [], None
    for file in files:
        table = _table(file)
        column, label = _column(table, file, IMAGES, _is_image), _column(table, file, LABELS, _is_label)
        classes = _class_names(table.schema, label) or classes
        images += _images(table[column], file)
        labels += table[label].to_pylist()
    where = f"{root} ({files[0].name}{f' and {len(files) - 1} more' if len(files) > 1 else ''})"
    if unlabelled := sum(label is None or (isinstance(label, int) and label < 0) for label in labels):
        raise UserError(f"{unlabelled} of {len(labels)} images of {where} have no label; take that part's files away")
    if classes is None:
        numbers = all(isinstance(label, int) for label in labels)
        ids = range(max(labels) + 1) if numbers else ()
        return Named(where, images, list(map(str, labels))), list(map(str, ids)) or None
    if strange := sorted({label for label in labels if not isinstance(label, int) or not 0 <= label < len(classes)}):
        raise UserError(f"{where} has the label {strange[0]!r}, and names {len(classes)} classes")
    return Named(where, images, [classes[label] for label in labels]), classes


def _table(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("the data set parquet needs pyarrow: pip install pyarrow, or adautomix[parquet]") from error
    try:
        if file.suffix == ".parquet":
            return pyarrow.parquet.read_table(file, memory_map=True)
        source = pyarrow.memory_map(str(file))
        try:
            return pyarrow.ipc.open_stream(source).read_all()  # as `datasets` writes it
        except pyarrow.ArrowInvalid:
            return pyarrow.ipc.open_file(source).read_all()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({first_line(error)}); fetch it again") from error


def _column(table: Any, file: Path, names: Sequence[str], fits: Any) -> str:
    known = {field.name: field for field in table.schema}
    for name in names:
        if name in known and fits(known[name].type):
            return name
    what = "images ({'bytes': ...})" if fits is _is_image else "labels (whole numbers or text)"
    told = ", ".join(f"{field.name} ({str(field.type)[:40]})" for field in table.schema)
    raise UserError(f"{file} must have a column of {what} called {', '.join(names)}; it has {told}")


def _is_image(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return types.is_binary(kind) or types.is_large_binary(kind)


def _is_label(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)


def _class_names(schema: Any, label: str) -> list[str] | None:
    try:
        features = json.loads((schema.metadata or {})[METADATA])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return names if isinstance(names, list) and len(set(map(str, names))) == len(names) else None


def _images(column: Any, file: Path) -> Iterator[EncodedImage]:
    """Yield the images of a column without copying them."""
    row = 0
    for chunk in column.chunks:
        if hasattr(chunk, "field"):  # {"bytes": ..., "path": ...}
            chunk = chunk.flatten()[chunk.type.get_field_index("bytes")]  # with the struct's own gaps
        for scalar in chunk:
            if not scalar.is_valid:
                raise UserError(f"row {row} of {file} has no image's bytes; sets that hold paths alone are not read")
            yield EncodedImage(f"{file}, row {row}", scalar.as_buffer())
            row += 1
