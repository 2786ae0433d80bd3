"""Which device each rank of a run takes, and what cannot be done on several."""

import torch

from adautomix.config import TrainConfig
from adautomix.training.ranks import ALONE, Ranks
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import choose_device


def device_for(config: TrainConfig, ranks: Ranks = ALONE) -> torch.device:
    """Return a rank's device: a GPU of its own by its number on the machine, or the CPU.

    Raises: UserError as `choose_device`, and as `require_devices` where there are several ranks.
    """
    device = choose_device(config.device)
    if ranks.count == 1:
        return device
    require_devices(config, device, ranks.count, ranks.here)
    return torch.device("cuda", ranks.local) if device.type == "cuda" else device


def require_devices(config: TrainConfig, device: torch.device, count: int, here: int) -> None:
    """Raise UserError for what cannot be done on several devices.

    Args:
        device: the one that the config asks for.
        count: devices of the run.
        here: of them on this machine.
    """
    if device.type not in ("cuda", "cpu"):
        raise UserError(f"a run on {count} devices needs GPUs of NVIDIA's or AMD's, or --device cpu; got {device}")
    if device.type == "cuda" and config.device not in ("auto", "cuda"):
        raise UserError(
            f"device {config.device!r} is one GPU, and the run has {count} devices: give cuda; which cards, the "
            "environment variable CUDA_VISIBLE_DEVICES chooses"
        )
    if device.type == "cuda" and here > (found := torch.cuda.device_count()):
        raise UserError(f"{here} devices were asked for, this machine has {found} GPU(s): give --devices {found}")
    if config.cuda_graphs and device.type == "cuda":
        raise UserError("cuda_graphs is for one device: leave it out, or give --devices 1")
    if config.sync_bn and device.type != "cuda":
        raise UserError("sync_bn is torch's SyncBatchNorm, which needs GPUs: leave it out, or train on GPUs")
