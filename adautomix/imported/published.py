"""The authors' published checkpoints: three of ImageNet-1K, Table 1's cells of AdAutoMix.

No checksum is published. The first download's is written beside the file, and later ones are held against it.
"""

import urllib.error
import urllib.request
from pathlib import Path

from adautomix.imported.reading import sha256
from adautomix.utils.errors import UserError, first_line
from adautomix.utils.files import write_atomic
from adautomix.utils.paths import in_workbook
from adautomix.utils.progress import progress

RELEASE = "https://github.com/JinXins/Adversarial-AutoMixup/releases/download/imagenet"
PUBLISHED = {
    f"imagenet_resnet{depth}/adautomix": f"{RELEASE}/ImageNet1k_adautomix_r{depth}_100e.pth" for depth in (18, 34, 50)
}
"""Where each lies, by the recipe it was trained with."""
CHUNK = 2**20
TIMEOUT_S = 30
NOTHING_LEFT = 416
"""A server's answer if the rest that is asked for begins behind the file's end."""


def fetch(recipe: str, folder: Path | None = None, url: str | None = None) -> Path:
    """Return a published checkpoint's file, downloaded where it is not there; a download that was cut off goes on.

    Args:
        folder: where it lies or goes (default: data/checkpoints in the workbook).
        url: another place to have it from.
    Raises: UserError saying what to put where, if it cannot be downloaded, or is not what was downloaded first.
    """
    url = url or PUBLISHED[recipe]
    file = (folder or in_workbook("data") / "checkpoints") / url.rpartition("/")[2]
    if not file.exists():
        try:
            download(url, file)
        except OSError as error:  # urllib's errors are OSErrors
            raise UserError(
                f"{file.name} is not in {file.parent} and could not be downloaded ({first_line(error)}). Without a "
                f"network, put it there from {url}"
            ) from error
    require_first(file)
    return file


def download(url: str, file: Path) -> None:
    """Download a file; what an earlier try left in <file>.part is kept, and the rest asked for."""
    part = file.with_name(f"{file.name}.part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != NOTHING_LEFT:
            raise
        part.unlink()  # whole already, or of another file: once more from the start
        answer = urllib.request.urlopen(url, timeout=TIMEOUT_S)
    with answer:
        if answer.status != 206:  # the whole file, whatever was asked for
            have = 0
        length = answer.headers.get("Content-Length")
        file.parent.mkdir(parents=True, exist_ok=True)
        chunks = iter(lambda: answer.read(CHUNK), b"")
        total = None if length is None else -(-int(length) // CHUNK)
        with part.open("ab" if have else "wb") as opened:
            for chunk in progress(chunks, total=total, name=file.name, unit="MiB"):
                opened.write(chunk)
    size = part.stat().st_size
    if length is not None and size != have + int(length):
        raise OSError(f"{size - have} of {length} bytes came; the same command goes on")
    part.rename(file)


def require_first(file: Path) -> None:
    """Write down a file's sha256 at first use; raises UserError if a later one differs."""
    record, digest = file.with_name(f"{file.name}.sha256"), sha256(file)
    if not record.exists():
        write_atomic(record, lambda path: path.write_text(f"{digest}  {file.name}\n", encoding="utf-8"))
    elif (first := record.read_text(encoding="utf-8").split()[0]) != digest:
        raise UserError(f"{file} has the sha256 {digest}, not {first} as at its first use; delete both to fetch it")
