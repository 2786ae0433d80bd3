"""Which device each rank of a run takes, and what cannot be done on several."""

import torch

from adautomix.config import TrainConfig
from adautomix.training.ranks import ALONE, Ranks
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import choose_device


def kind_of(name: str) -> str:
    """Return the type of device that a name means here, without touching a GPU, whose memory would be held.

    Raises: UserError as `choose_device`.
    """
    if name.partition(":")[0] in ("auto", "cuda") and torch.cuda.is_available():
        return "cuda"
    return choose_device(name).type


def device_for(config: TrainConfig, ranks: Ranks = ALONE) -> torch.device:
    """Return a rank's device: a GPU of its own by its number on the machine, or the CPU.

    Raises: UserError as `choose_device`, and as `require_devices` where there are several ranks.
    """
    if ranks.count == 1:
        return choose_device(config.device)
    require_devices(config, ranks.count, ranks.here)
    return torch.device("cuda", ranks.local) if kind_of(config.device) == "cuda" else choose_device(config.device)


def require_devices(config: TrainConfig, count: int, here: int) -> None:
    """Raise UserError for what cannot be done on several devices.

    Args:
        count: devices of the run.
        here: of them on this machine.
    """
    kind = kind_of(config.device)
    if kind not in ("cuda", "cpu"):
        raise UserError(f"a run on {count} devices needs GPUs of NVIDIA's or AMD's, or --device cpu; got {kind}")
    if kind == "cuda" and config.device not in ("auto", "cuda"):
        raise UserError(
            f"device {config.device!r} is one GPU, and the run has {count} devices: give cuda; which cards, the "
            "environment variable CUDA_VISIBLE_DEVICES chooses"
        )
    if kind == "cuda" and here > (found := torch.cuda.device_count()):
        raise UserError(f"{here} devices were asked for, this machine has {found} GPU(s): give --devices {found}")
    if kind == "cuda" and config.cuda_graphs:
        raise UserError("cuda_graphs is for one device: leave it out, or give --devices 1")
    if kind != "cuda" and config.sync_bn:
        raise UserError("sync_bn is torch's SyncBatchNorm, which needs GPUs: leave it out, or train on GPUs")
