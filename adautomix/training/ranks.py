"""One run on several devices: a process for each, called a rank, that makes every step together with the others.

What is the same and what is not, for R ranks:

- A batch is the one that a single device would get; each rank has an equal share of it, so every image is seen once an
  epoch, and `batch_size` and the number of steps are what they always are. (RandAugment of images up to 64 px is drawn
  for a share at once, so its pixels differ from those of one device.)
- lam, and whatever else a method draws once for a batch, is the same on every rank. Partners, and what is drawn for
  each image, are each rank's own, so images are mixed within a share: as the released code does on several cards.
- Losses are means over a share, and gradients are averaged after the backward, so a step is that of one device wherever
  the loss is a mean over images. It is not for BatchNorm's statistics, nor for AutoMix's area penalty, which looks at
  the mean mask of a share, as the released code does.
- BatchNorm normalises by its rank's own share, as released; with `sync_bn`, student and teacher by the whole batch.
  Running statistics, student's and teacher's, are averaged over the ranks after every epoch: so they are evaluated, and
  so they are in the checkpoint.
- Student, teacher and generator are otherwise the same on every rank, bit for bit: they start alike and make the same
  updates. A checksum of all of them is compared after every epoch, and a difference stops the run.
- Test images are shared as well; the first rank has all predictions, and it alone writes.
- What ranks draw for themselves is a function of seed, epoch, rank and R. A run that goes on with as many ranks ends
  with the same weights bit for bit; with another number it goes on from the same weights to others.

Ranks find each other by torchrun's environment variables, or by a file on this machine where `launch.py` starts them.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from adautomix.data.batches import Share
from adautomix.models.ema import batch_norms
from adautomix.training.agent import STORE
from adautomix.utils.errors import LostRank, RankError, first_line

T = TypeVar("T")
PATIENCE = timedelta(hours=1)
"""How long ranks wait for one another: the first may be writing, or reading images for the first time."""


@dataclass(frozen=True)
class Ranks:
    """This process among the ranks of its run; alone by default, where every call is cheap and changes nothing.

    All of its methods are collective: every rank must call them, in the same order.

    Raises: LostRank, from any of them, if another rank is gone.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    """This rank's number on its machine."""
    here: int = 1
    """Ranks on this machine."""

    @property
    def first(self) -> bool:
        """Whether this rank writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """This rank's part of batches and test images."""
        return Share(self.rank, self.count)

    def mean_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its mean over the ranks: in one call, for all together."""
        # Not DistributedDataParallel: it hooks into `backward`. A step here takes its passes' gradients one by one
        # (`optim.backward`), which it does not see: they stay each rank's own, without an error. With a backward of the
        # sum it is right, and neither was clearly faster on a CPU. On GPUs it would hide this call behind the backward:
        # on paper a few per cent of a step over NVLink, more over PCIe (benchmarks/README.md).
        self._mean_together([p.grad for p in parameters if p.grad is not None])

    @torch.no_grad()
    def average_statistics(self, modules: Sequence[nn.Module]) -> None:
        """Replace BatchNorm's running means and variances by their mean over the ranks."""
        norms = [norm for module in modules for norm in batch_norms(module) if norm.running_mean is not None]
        self._mean_together([buffer for norm in norms for buffer in (norm.running_mean, norm.running_var)])

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a float tensor over the ranks; edits `values` in place."""
        self._mean_together([values])
        return values

    def told(self, value: T, by: int = 0) -> T:
        """Return what one rank has; the others' value is ignored."""
        if self.count == 1:
            return value
        box = [value]
        with self._connection():
            dist.broadcast_object_list(box, src=by, device=torch.device("cpu"))
        return box[0]

    def gathered(self, value: T) -> list[T] | None:
        """Return all ranks' values on the first, None on the others."""
        if self.count == 1:
            return [value]
        found: list[Any] | None = [None] * self.count if self.first else None
        with self._connection():
            dist.gather_object(value, found)
        return found

    def earliest(self, step: int | None) -> tuple[int, int] | None:
        """Return the lowest of all ranks' steps and the (first) rank whose it is; None if no rank has one."""
        if self.count == 1:
            return None if step is None else (step, 0)
        none = 2**62
        lowest = torch.tensor(none if step is None else step * self.count + self.rank)
        with self._connection():
            dist.all_reduce(lowest, dist.ReduceOp.MIN)
        return None if lowest == none else divmod(int(lowest), self.count)

    def require_same(self, tensors: Mapping[str, Tensor], when: str) -> None:
        """Raise RankError unless every rank has the same tensors, bit for bit."""
        if self.count == 1:
            return
        own = checksums(list(tensors.values()))
        sums = [torch.empty_like(own) for _ in range(self.count)]
        with self._connection():
            dist.all_gather(sums, own)
        for rank, other in enumerate(sums):
            if different := [name for name, same in zip(tensors, (other == sums[0]).tolist(), strict=True) if not same]:
                raise RankError(
                    f"rank {rank} no longer has the networks of rank 0 {when}: {different[0]} differs, with "
                    f"{len(different) - 1} more of {len(tensors)} tensors. Memory, a card or a connection is faulty, "
                    "or the cards are not alike; the same command goes on from the last checkpoint"
                )

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one rank of this machine do something before the others, which then find what it downloaded."""
        if self.local > 0:
            self._wait()
        yield
        if self.local == 0:
            self._wait()

    def _wait(self) -> None:
        if self.count > 1:
            with self._connection():
                dist.all_reduce(torch.zeros(()))  # as a barrier that needs no GPU

    @torch.no_grad()
    def _mean_together(self, tensors: Sequence[Tensor]) -> None:
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._connection():
            dist.all_reduce(flat)
        parts = flat.div_(self.count).split([tensor.numel() for tensor in tensors])
        torch._foreach_copy_(list(tensors), [p.view(t.shape) for p, t in zip(parts, tensors, strict=True)])

    @contextmanager
    def _connection(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise LostRank(f"rank {self.rank}: the connection to another rank broke ({first_line(error)})") from error


ALONE = Ranks()


def started() -> bool:
    """Return whether a launcher such as torchrun started this process as one of several ranks."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


@contextmanager
def connected(kind: str) -> Iterator[Ranks]:
    """Connect to the other ranks, if a launcher started several; at the end of a block without error disconnect.

    Args:
        kind: of device, "cuda" or "cpu": what is on GPUs goes by NCCL, what is on the CPU by gloo.
    """
    if not started():
        yield ALONE
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    ranks = Ranks(*(int(os.environ.get(name, default)) for name, default in zip(names, "0101", strict=True)))
    meeting: dict[str, Any] = {}
    if path := os.environ.get(STORE):
        meeting = {"store": dist.FileStore(path, ranks.count), "rank": ranks.rank, "world_size": ranks.count}
    if kind == "cuda" and ranks.local < torch.cuda.device_count():
        torch.cuda.set_device(ranks.local)  # before anything touches a GPU: all ranks would touch the first
    dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo", timeout=PATIENCE, **meeting)
    yield ranks  # after an error the others may be gone, and parting from them politely could wait for them
    ranks._wait()
    dist.destroy_process_group()


def checksums(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of each tensor's bits, taken as whole numbers [n], on the CPU: exact in any order."""
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = [t.detach().view(whole[t.itemsize]) if t.dtype.is_floating_point else t.detach() for t in tensors]
    return torch.stack([b.sum(dtype=torch.int64) for b in bits]).cpu()
