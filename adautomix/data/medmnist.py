"""An .npz in MedMNIST's layout (Yang et al. 2023): train_images, train_labels, and the same of val and test.

Any such file will do: [N,S,S] grey or [N,S,S,3] of uint8, with a class id [N] or [N,1] an image. The file names no
classes, so they are numbers. Its val images are `validation`, unless a share of the training images is asked for.
"""

import hashlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from PIL import Image

from adautomix.data.base import Dataset, MemorySplit
from adautomix.data.equal_files import equal_files
from adautomix.data.fingerprints import fingerprint
from adautomix.data.folder import own_label
from adautomix.data.images import for_test
from adautomix.utils.errors import UserError, first_five, first_line

MEAN = STD = (0.5, 0.5, 0.5)
"""Of medmnist's own training program (github.com/MedMNIST/experiments)."""
PARTS = ("train", "val", "test")


def load(*, root: Path | None = None, size: int | None = None) -> Dataset:
    """Return the images of an .npz at their own side, or brought to `size` px.

    Args:
        root: the file, or a folder that holds one.
    Raises: UserError for a file that cannot be read, or holds something else.
    """
    file = _file(root)
    arrays = _arrays(file)
    images = {part: _images(arrays[f"{part}_images"], f"{part}_images of {file}") for part in PARTS}
    labels = {part: _labels(arrays[f"{part}_labels"], len(images[part]), f"{part}_labels of {file}") for part in PARTS}
    count = 1 + max(int(ids.max(initial=0)) for ids in labels.values())
    if empty := [str(k) for k in range(count) if k not in set(labels["train"].tolist())]:
        raise UserError(f"train_labels of {file} hold no image of {len(empty)} class(es): {first_five(empty)}")
    if count < 2 or not len(images["test"]):
        raise UserError(f"{file} must hold two classes or more and test images, got {count} and {len(images['test'])}")
    told = [part for part in PARTS if len(images[part])]
    parts = [
        (f"{part} {row}", image.nbytes, hashlib.sha256(image.tobytes()).hexdigest())
        for part in told
        for row, image in enumerate(images[part])
    ]
    order = [int(k) for part in told for k in labels[part]]
    counts = "+".join(f"{part} {len(images[part])}" for part in told)  # two divisions are two sets
    splits = {part: _split(images[part], labels[part], size) for part in told}
    side = splits["train"].images.shape[-1]
    return Dataset(
        name="medmnist",
        label=own_label("medmnist", file.with_suffix("")),
        classes=tuple(map(str, range(count))),
        train=splits["train"],
        test=splits["test"],
        validation=splits.get("val"),
        size=side,
        mean=MEAN,
        std=STD,
        pad=side // 8,
        flip=False,
        fingerprint=fingerprint([counts, *(digest for *_, digest in parts), *order]),
        remarks=equal_files(parts, order, len(images["train"]), held="val or test"),
    )


def _file(root: Path | None) -> Path:
    if root is None:
        raise UserError("the data set medmnist needs a root: its .npz, such as pathmnist.npz, or the folder of it")
    files = sorted(root.glob("*.npz")) if root.is_dir() else [root]
    if len(files) != 1 or not files[0].is_file():
        found = f"{len(files)} .npz files" if root.is_dir() else "no such file"
        raise UserError(f"root of medmnist must be an .npz, or a folder with one, got {root}: {found}")
    return files[0]


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """Return the six arrays; nothing but numbers is read, and nothing larger than the file says."""
    names = [f"{part}_{what}" for part in PARTS for what in ("images", "labels")]
    try:
        with ZipFile(file) as packed:
            there = {name.removesuffix(".npy") for name in packed.namelist()}
        if missing := [name for name in names if name not in there]:
            raise UserError(f"{file} must hold {', '.join(names)}; it has no {', '.join(missing)}")
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except UserError:
        raise
    except (OSError, BadZipFile, MemoryError, EOFError, ValueError, SyntaxError, NotImplementedError) as error:
        raise UserError(f"{file} cannot be read as an .npz of arrays ({first_line(error)}); fetch it again") from error


def _images(array: np.ndarray, what: str) -> np.ndarray:
    """Return images as [N,S,S,3]."""
    grey, colour = array.ndim == 3, array.ndim == 4 and array.shape[3] == 3
    if array.dtype != np.uint8 or not (grey or colour) or array.shape[1] != array.shape[2]:
        raise UserError(f"{what} must be uint8 [N,S,S] or [N,S,S,3], got {array.dtype} {list(array.shape)}")
    return np.repeat(array[..., None], 3, axis=3) if grey else array


def _labels(array: np.ndarray, count: int, what: str) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] > 1:
        raise UserError(f"{what} have {array.shape[1]} columns: several labels an image are not read, only one class")
    ids = array.reshape(-1)
    if ids.dtype.kind not in "iu" or len(ids) != count or (len(ids) and (int(ids.min()) < 0 or int(ids.max()) > 65535)):
        raise UserError(f"{what} must be {count} class ids from 0 on, got {array.dtype} {list(array.shape)}")
    return ids.astype(np.int64)


def _split(images: np.ndarray, labels: np.ndarray, size: int | None) -> MemorySplit:
    if size is None or size == images.shape[1]:
        pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    else:
        pixels = torch.stack([for_test(Image.fromarray(image), size) for image in images])
    return MemorySplit(pixels, torch.from_numpy(labels))
