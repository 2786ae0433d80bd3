"""Where the notebooks run: worker processes here, a scheduler that is already there, or a SLURM cluster."""

import logging
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from adautomix.utils.errors import UserError
from adautomix.utils.extras import installing

CONNECT_SECONDS = 10
QUIET_HERE = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False, "silence_logs": logging.CRITICAL}
"""One notebook a process, on this machine's own address, and no log lines between ours."""


@contextmanager
def connect(workers: int, scheduler: str | None, gpu_share: int = 1):
    """Yield a dask client.

    Args:
        workers: processes, one notebook each.
        scheduler: None for this machine, "slurm", or the address of a running scheduler.
        gpu_share: workers to each of this machine's GPUs.
    """
    import dask
    from distributed import Client

    # A notebook whose worker died must not be started again behind our back; a daemonic worker may not fork kernels.
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": False}
    with dask.config.set(settings), ExitStack() as stack:
        try:
            cluster: Any = scheduler
            if scheduler in STARTED:
                cluster = stack.enter_context(STARTED[scheduler](workers, gpu_share))
            client = stack.enter_context(Client(cluster, timeout=CONNECT_SECONDS))
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(f"the scheduler {scheduler or 'here'} cannot be used: {error}") from error
        yield client


def gpus() -> list[str]:
    """Return the GPUs that this machine's workers may use, as CUDA names them; without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(i) for i in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]


def _local(workers: int, gpu_share: int) -> Any:
    """Return a cluster of single-thread processes on this machine, with a GPU's share each while there are any."""
    from distributed import Nanny, Scheduler, SpecCluster

    # Kernels that compute with all cores each would fight for them.
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    cards = gpus()
    spec = {}
    for i in range(workers):
        card = {"CUDA_VISIBLE_DEVICES": cards[i % len(cards)]} if cards else {}
        own = {"env": limits | card, "resources": {"GPU": 1} if i < gpu_share * len(cards) else {}}
        spec[i] = {"cls": Nanny, "options": QUIET_HERE | own}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}}
    return SpecCluster(workers=spec, scheduler=scheduler, silence_logs=logging.CRITICAL)


def _slurm(workers: int, gpu_share: int) -> Any:
    """Return a cluster of SLURM jobs; its queue, time and GPUs come from dask-jobqueue's own configuration file.

    Raises: UserError if jobs are to share a GPU, which SLURM gives to one.
    """
    if gpu_share > 1:
        raise UserError("gpu_share is of this machine's GPUs; SLURM gives a job GPUs of its own: leave it out, or 1")
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UserError(f"SLURM needs an extra: {installing('cluster')}") from error
    # One notebook a job, whatever cores the job has: those are for the notebook's own threads and loaders.
    cluster = SLURMCluster(processes=1, worker_extra_args=["--nthreads", "1"])
    cluster.scale(jobs=workers)
    return cluster


STARTED = {None: _local, "slurm": _slurm}
"""Schedulers that we start, and end when the plan has."""
