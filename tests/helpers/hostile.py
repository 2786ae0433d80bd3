"""Files that somebody spoilt or made to do harm: bytes for every place where a file of a Run or a plan is read."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import torch


class Runs:
    """Unpickled, it would make a file: code inside data."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def saved(value: object) -> bytes:
    """Return what torch.save writes."""
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def with_code(marker: Path) -> dict[str, bytes]:
    """Return checkpoints that would run code, by what they are."""
    state = {"student": Runs(marker), "context": {"teacher": Runs(marker)}, "trainables": {}}
    return {"torch archive with code": saved(state), "bare pickle with code": pickle.dumps(state)}


def bomb(size: int = 2**30) -> bytes:
    """Return a torch archive of some kB whose one tensor unpacks to `size` bytes."""
    whole, packed = saved({"student": {"a": torch.zeros(1)}}), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename.endswith("data/0"):
                with new.open(entry.filename, "w", force_zip64=True) as file:
                    for _ in range(size // 2**20):
                        file.write(bytes(2**20))
            else:
                new.writestr(entry.filename, old.read(entry))
    return packed.getvalue()


NO_JSON = {
    "empty": b"",
    "cut off": b'{"config": {"epo',
    "null": b"null",
    "a list": b"[1, 2]",
    "a word": b'"x"',
    "no text": b"\xff\xfe\x00\x01",
    "nested without an end": b"[" * 100_000,
    "nested mappings": b'{"a":' * 100_000,
}
"""What may stand in a file of JSON that a kill, a disk or a person spoilt."""


def spoilt_configs(info: dict) -> dict[str, bytes]:
    """Return versions of a Run's config.json that are JSON, and wrong."""

    def changed(part: str, **values: object) -> bytes:
        return json.dumps(info | {part: info[part] | values}).encode()

    return {
        "no mappings inside": b'{"config": [], "dataset": 5}',
        "an unknown setting": changed("config", evil=1),
        "a word for a number": changed("config", epochs="x"),
        "a method that is a path": changed("config", method="../../x"),
        "a backbone that is code": changed("config", backbone="__import__('os').system('true')"),
        "a data set that is a path": changed("config", data="/etc/passwd"),
        "a tap that is not there": changed("config", tap="__class__.__init__"),
        "options that are a list": changed("config", options=[1]),
        "optimisers that are words": changed("config", optim={"student": "sgd"}),
        "no number": changed("config", seed=float("nan")),
        "classes that are a number": changed("dataset", classes=5),
        "a million classes": changed("dataset", classes=["x"] * 10**6),
        "no classes": changed("dataset", classes=[]),
        "images as large as the memory": changed("dataset", size=10**9),
        "images of no side": changed("dataset", size=0),
        "colours that are words": changed("dataset", mean=["x", "y", "z"]),
        "too few colours": changed("dataset", mean=[0.5]),
        "sessions that are a word": json.dumps(info | {"sessions": "x"}).encode(),
        "sessions without a machine": json.dumps(info | {"sessions": [{}]}).encode(),
        "no size": json.dumps(info | {"dataset": {k: v for k, v in info["dataset"].items() if k != "size"}}).encode(),
    }


HISTORIES = {
    "empty": b"",
    "only a line's end": b"\n",
    "no text": b"\x00\xff\x00" * 50,
    "words": b"epoch,student_top1,teacher_top1\none,two,three\n",
    "too many fields": b"epoch,a\n1,2,3,4,5\n1\n",
    "a formula": b"epoch,student_top1\n1,=cmd|'/c calc'!A0\n",
    "another table": b"a,b\n1,2\n",
    "an open quote": b'epoch,"student_top1\n1,2\n',
    "cut off": b"epoch,student_top1,teac",
}
METRICS = NO_JSON | {
    "no value": b"{}",
    "a value that is a number": b'{"value": 5}',
    "a word for an accuracy": b'{"value": {"top1": "<script>"}, "n_images": 797, "settings": {}}',
}

YAML = {
    "a tag that calls": "steps: !!python/object/apply:os.system ['touch MARKER']",
    "a tag that imports": "steps: !!python/name:os.system",
    "a tag that makes": "steps: !!python/object/new:subprocess.Popen [['touch', 'MARKER']]",
    "an unknown tag": "steps: !evil {a: 1}",
    "billions by aliases": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(12)),
    "merged billions": "a: &a {k: v}\n"
    + "".join(f"b{i}: &b{i} {{<<: [*a, *a], x: [*a, *a]}}\n" for i in range(5))
    + "steps: []",
    "what holds itself": "steps: &a [*a]",
    "a mapping that holds itself": "steps: &a {x: *a}",
    "nested without an end": "[" * 50_000,
    "nested mappings": "{a: " * 50_000,
    "a date that is none": "steps: 2001-13-45",
    "a number that is none": "steps: !!float one",
    "an empty number": "steps: !!int ''",
    "bytes that are none": "steps: !!binary '%'",
    "a list as a key": "? [a, b]\n: 1\nsteps: {}",
    "a mapping as a key": "? {a: b}\n: 1\n",
    "a key twice": "steps: {}\nsteps: {}",
    "two documents": "a: 1\n---\nb: 2\n",
    "control characters": "steps: \x07",
    "a tab": "steps:\n\t- a",
    "an alias to nothing": "steps: *gone",
    "half a quote": 'steps: "',
    "nothing": "",
}


def archives(folder: Path, inside: str) -> dict[str, Path]:
    """Write archives that would leave their folder, `inside`, and return them by what they hold."""
    outside, made = folder / "outside", {}
    members = {
        "a name that climbs": tarfile.TarInfo(f"{inside}/../../escaped"),
        "an absolute name": tarfile.TarInfo(str(outside)),
        "a link that leads out": _linked(f"{inside}/link", tarfile.SYMTYPE, str(folder)),
        "a file behind a link": _linked(f"{inside}/link", tarfile.SYMTYPE, ".."),
        "a hard link that leads out": _linked(f"{inside}/hard", tarfile.LNKTYPE, "../../../etc/passwd"),
        "a device": _linked(f"{inside}/null", tarfile.CHRTYPE, ""),
        "a pipe": _linked(f"{inside}/pipe", tarfile.FIFOTYPE, ""),
    }
    for what, member in members.items():
        made[f"tar, {what}"] = path = folder / f"{len(made)}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo(f"{inside}/fine"), io.BytesIO())
            archive.addfile(member, io.BytesIO())
            archive.addfile(tarfile.TarInfo(f"{inside}/link/escaped"), io.BytesIO())
    for what, name in {"a name that climbs": f"{inside}/../../escaped", "an absolute name": str(outside)}.items():
        made[f"zip, {what}"] = path = folder / f"{len(made)}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{inside}/fine", "")
            archive.writestr(name, "evil")
    made["zip, a link"] = path = folder / f"{len(made)}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo(f"{inside}/link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc")
    return made


def _linked(name: str, kind: bytes, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member
