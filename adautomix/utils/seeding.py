"""Seeds and devices: every random stream of a run is named, so none depends on how often another was used."""

import hashlib
from contextlib import AbstractContextManager, nullcontext

import torch

from adautomix.utils.errors import UserError, first_line


def seed_for(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for one named stream of a run, e.g. seed_for(0, "batches", epoch)."""
    text = ":".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:8], "little") >> 1


def generator_for(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator at the start of a named stream."""
    return torch.Generator().manual_seed(seed_for(seed, *names))


def choose_device(name: str = "auto") -> torch.device:
    """Return the device asked for, or with "auto" a GPU if there is one.

    Raises: UserError for an unknown name or a device this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()  # of torch's "meta" nothing comes back
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error).split(". ")[0]  # torch goes on to list every backend there is
        raise UserError(f"device {name!r} cannot be used here ({reason}); try --device auto or cpu") from error
    return device


def current(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which a GPU is the current one: pinned memory then belongs to it, and not to GPU 0."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def same_random_state(device: torch.device) -> AbstractContextManager[None]:
    """Return a context at whose end the global generators, and the device's, are as they were."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
