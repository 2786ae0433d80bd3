"""Published image sets: their archive found or downloaded, their lists of images read with every gap named."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from torchvision.datasets.utils import check_integrity, download_url

from adautomix.data.base import IMAGENET_MEAN, IMAGENET_STD, Dataset, PathSplit
from adautomix.data.fingerprints import fingerprint_files
from adautomix.utils.errors import UserError, first_five, first_line
from adautomix.utils.locks import hold
from adautomix.utils.paths import in_workbook

SMALLEST = 32
"""Least side (px) at which photographs may be asked for."""

BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error)
"""What unpacking a damaged archive raises."""


@dataclass(frozen=True)
class Archive:
    """A published archive: `parts` are paths inside its one folder that tell this from the folder's parent."""

    name: str
    folder: str
    parts: tuple[str, ...]
    url: str
    md5: str

    def locate(self, root: Path | None) -> Path:
        """Return the unpacked folder: `root` itself, the one in it, or that of a fresh download into `root`.

        Raises: UserError saying what to put where, if it is missing and cannot be downloaded.
        """
        root = default_root(self.name, root)
        for folder in (root / self.folder, root):
            if any((folder / part).exists() for part in self.parts):
                return folder
        with self.fetching(root):
            if not (root / self.folder).is_dir():
                self._download(root)
        return root / self.folder

    @contextmanager
    def fetching(self, root: Path) -> Iterator[None]:
        """Make `root` and hold its lock: of several runs that start together, one downloads.

        Raises: UserError saying what to put where, for whatever hinders the download inside.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            with hold(root / ".lock"):
                yield
        except (OSError, RuntimeError, HTTPException, *BROKEN) as error:
            file, reason = root / self.url.rpartition("/")[2], first_line(error)
            if file.is_file() and not check_integrity(file, self.md5):
                reason += f"; the {file.name} there is not whole: it has another md5"
            raise UserError(
                f"{self.name} is not in {root} and could not be downloaded ({reason}). Without a network, put "
                f"{file.name} from {self.url} (md5 {self.md5}) into {root}, or unpack it there so that "
                f"{root / self.folder} exists"
            ) from error

    def _download(self, root: Path) -> None:
        unpacking = root / ".unpacking"  # renamed when whole: a run cut off here leaves no half set behind
        shutil.rmtree(unpacking, ignore_errors=True)
        download_url(self.url, root, md5=self.md5)
        unpack(root / self.url.rpartition("/")[2], unpacking)
        (unpacking / self.folder).rename(root / self.folder)
        shutil.rmtree(unpacking)


def unpack(file: Path, folder: Path) -> None:
    """Write the files and folders of a .zip, .tar.gz or .tgz into a new folder.

    Raises: UserError, before anything is written, if one would lie outside of it, or is a link or a device.
    """
    home = folder.resolve()
    with zipfile.ZipFile(file) if file.suffix == ".zip" else tarfile.open(file) as archive:
        if isinstance(archive, zipfile.ZipFile):
            kinds = [(entry.filename, not stat.S_ISLNK(entry.external_attr >> 16)) for entry in archive.infolist()]
        else:
            kinds = [(entry.name, entry.isfile() or entry.isdir()) for entry in archive.getmembers()]
        wrong = [name for name, plain in kinds if not plain or not (home / name).resolve().is_relative_to(home)]
        if wrong:
            raise UserError(
                f"{file} is not unpacked: it holds links, devices or names that lead out: {first_five(wrong)}"
            )
        archive.extractall(folder)


def default_root(name: str, root: Path | None) -> Path:
    """Return `root`, by default data/<name> in the workbook."""
    return in_workbook("data") / name if root is None else root


def side_or_default(name: str, size: int | None) -> int:
    """Return the side (px) asked for, by default 224; raises UserError below 32."""
    size = 224 if size is None else size
    if size < SMALLEST:
        raise UserError(f"{name} comes at {SMALLEST} px or more, not {size}")
    return size


def photographs(
    name: str,
    classes: Sequence[str],
    train: PathSplit,
    test: PathSplit,
    *,
    size: int,
    folder: Path,
    crop_scale: tuple[float, float] = (0.5, 1.0),
    fingerprint: str | None = None,
    known_classes: int | None = None,
) -> Dataset:
    """Return a set of photographs with ImageNet's normalisation, trained on mirrored random resized crops.

    Args:
        folder: the files' names below it and their sizes are the fingerprint, where none is given.
        known_classes: how many the whole set has; with others a remark says so.
    """
    part = known_classes is not None and len(classes) != known_classes
    told = f"{folder} has {len(classes)} classes, {name} has {known_classes:,}" if part else ""
    return Dataset(
        name=name,
        label=name,
        classes=tuple(classes),
        train=train,
        test=test,
        size=size,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        pad=0,
        flip=True,
        fingerprint=fingerprint or fingerprint_files(folder, [*train.paths, *test.paths]),
        crop_scale=crop_scale,
        remarks=(f"{told}: a part of the set, or another one; for images of your own there is --data folder",) * part,
    )


def read_rows(path: Path, columns: int, separator: str | None = None) -> list[list[str]]:
    """Return the lines of a text file, each cut at `separator` (default: blanks) into `columns` fields.

    The last field keeps any further separators; empty lines are left out.
    Raises: UserError naming a file that cannot be read or holds nothing, or its first short line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    rows = [(number, line.strip().split(separator, columns - 1)) for number, line in enumerate(lines, 1)]
    rows = [(number, row) for number, row in rows if row not in ([], [""])]
    if not rows:
        raise UserError(f"{path} is empty; unpack the set again")
    if short := [number for number, row in rows if len(row) < columns]:
        raise UserError(f"line {short[0]} of {path} must hold {columns} fields: {lines[short[0] - 1]!r}")
    return [row for _, row in rows]


def unreadable(path: Path, error: Exception) -> UserError:
    """Return the error for a file of a set that is missing or broken."""
    if not path.exists():
        return UserError(f"{path} is missing; unpack the set again, whole")
    return UserError(f"{path} cannot be read ({first_line(error)}); unpack the set again")


def lookup(table: Mapping[str, int], key: str, source: Path) -> int:
    """Return table[key]; raises UserError naming the list that should hold the key."""
    if key not in table:
        raise UserError(f"{source} does not hold {key!r}, which another list of the set names")
    return table[key]


def listed(source: Path, paths: Sequence[Path], labels: Sequence[int], classes: Sequence[str]) -> PathSplit:
    """Return the images that the list `source` names, in its order.

    Raises: UserError naming images that do not exist, or classes without any.
    """
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise UserError(f"{source} names {len(missing)} image(s) that do not exist: {first_five(missing)}")
    if empty := sorted(set(range(len(classes))) - set(labels)):
        raise UserError(f"{source} names no image of {len(empty)} class(es): {first_five([classes[k] for k in empty])}")
    return PathSplit(list(paths), torch.tensor(list(labels)))
