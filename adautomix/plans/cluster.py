"""Where the notebooks run: worker processes here, a scheduler that is already there, or a SLURM cluster."""

import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager

from adautomix.plans.here import here
from adautomix.plans.place import Place, Where
from adautomix.plans.slurm import slurm
from adautomix.plans.tasks import Task
from adautomix.utils.errors import LostScheduler, UserError

CONNECT_SECONDS = 10
CALM = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.worker.profile.enabled": False,
}
"""dask looks after tasks of milliseconds, up to a hundred times a second. Ours last seconds to hours, and its watch
over two workers took a sixth of a core (now a sixtieth)."""


@contextmanager
def connect(where: Where, tasks: Sequence[Task] = ()):
    """Yield the Place where tasks will run.

    Raises: UserError if it cannot be reached, or a task asks for more GPUs than there are.
    """
    import dask
    import distributed  # noqa: F401  its defaults must be there first: leaving `set` below would take them away again

    # A notebook whose worker died must not be started again behind our back; a daemonic worker may not fork kernels.
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": False}
    settings |= CALM | {"distributed.deploy.lost-worker-timeout": "1000d"}  # lost jobs are seen to in slurm.py
    with dask.config.set(settings), ExitStack() as stack:
        try:
            place = stack.enter_context(STARTED.get(where.scheduler, _already_there)(where, tasks))
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(f"the scheduler {where.scheduler or 'here'} cannot be used: {error}") from error
        place.require(tasks)
        yield place


@contextmanager
def _already_there(where: Where, tasks: Sequence[Task]):
    """Yield a scheduler that others started; raises LostScheduler if it ends, or forgets what it was given."""
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it would print how it tries to reconnect
    with Client(where.scheduler, timeout=CONNECT_SECONDS) as client:
        try:
            yield Place(client)
        except Exception as error:
            if client.status == "running" and not isinstance(error, CancelledError):
                raise
            raise LostScheduler(
                f"the scheduler {where.scheduler} is gone, or was started anew; notebooks in hand may still run. "
                "With a scheduler, the same command goes on"
            ) from error


STARTED = {None: here, "slurm": slurm}
"""Schedulers that we start, and end when the plan has."""
