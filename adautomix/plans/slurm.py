"""Workers as SLURM jobs, by dask-jobqueue: its configuration file says queue, cores, memory and walltime.

What dask does not see is asked of SLURM itself: why a worker was lost, which jobs wait and for what. A lost job is
replaced, the notebook that it ran is not started again.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from adautomix.plans.execute import GOES_ON, KILLED
from adautomix.plans.in_hand import last_start
from adautomix.plans.place import Place, Where
from adautomix.plans.slurm_jobs import ENDING, ENDS, end_of, last_words, queue, told_of
from adautomix.plans.slurm_options import options
from adautomix.plans.tasks import Task
from adautomix.utils.errors import UserError
from adautomix.utils.extras import installing

LOOK_SECONDS = 5
"""How often the queue is looked at: a second of many users' `squeue` is felt on a large cluster."""
SUBMIT_SECONDS = 120
STILLBORN = 3
"""So many jobs in a row that ended before a worker was there, and the plan gives up: it is not the jobs, but the way
they are started."""


@contextmanager
def slurm(where: Where, tasks: Sequence[Task]):
    """Yield a SLURM cluster with the first jobs submitted.

    Raises: UserError if SLURM refuses them, dask-jobqueue is not there or knows nothing of the jobs' size.
    """
    if where.gpu_share > 1:
        raise UserError("gpu_share is of this machine's GPUs; SLURM gives a job GPUs of its own: leave it out, or 1")
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UserError(f"SLURM needs an extra: {installing('cluster')}") from error
    from distributed import Client

    if shutil.which("sbatch") is None:
        raise UserError("there is no sbatch on this machine: start the plan on one from which jobs are submitted")
    with SLURMCluster(**options(where, tasks)) as cluster, Client(cluster) as client:
        place = Slurm(client, cluster, where)
        place.submit_first(min(where.workers, len(tasks)))
        yield place


class Slurm(Place):
    """Jobs of a SLURM cluster."""

    def __init__(self, client: Any, cluster: Any, where: Where) -> None:
        super().__init__(client)
        self.cluster, self.wanted = cluster, where.workers
        self.ours: set[str] = set()
        self.active: dict[str, tuple[str, str]] = {}
        self.joined: set[str] = set()
        self.stillborn = 0
        self.looked, self.fresh = 0.0, False
        self.waited = ""

    def submit_first(self, jobs: int) -> None:
        """Submit the first jobs; raises UserError if SLURM refuses them all."""
        self.cluster.scale(jobs=jobs)
        deadline = time.monotonic() + SUBMIT_SECONDS
        while len(self.cluster.workers) < jobs and time.monotonic() < deadline:
            time.sleep(0.05)
        refusals = [job.refusal for job in self.cluster.workers.values()]
        if refusals and all(refusals):
            raise UserError(f"SLURM refuses the jobs: {refusals[0]}\nThey ask for:\n{self.cluster.job_header}")

    def tend(self, useful: int) -> list[str]:
        """See to it that there are jobs for `useful` tasks, and return what there is to tell about them."""
        jobs = dict(self.cluster.workers)  # before the queue is asked: it does not know of later ones
        if time.monotonic() < self.looked + LOOK_SECONDS or (active := queue()) is None:
            return []
        self.looked, self.active, self.fresh = time.monotonic(), active, True
        self.ours |= {job.job_id for job in jobs.values() if job.job_id}
        here = {w["name"] for w in self.client.scheduler_info(n_workers=-1)["workers"].values()}
        if here - self.joined:
            self.stillborn = 0
        self.joined |= here
        # A lost job is replaced at the next look: by then it is known whether there is work for another one.
        self._replace(min(self.wanted, useful))
        return [*self._drop_ended(jobs), *self._queue_line()]

    def lost(self, running: Sequence[Task]) -> list[Task]:
        """Return the tasks whose jobs are over: dask may keep them for a worker that will never be."""
        if not self.fresh:
            return []
        self.fresh = False
        jobs = {task.id: last_start(task).get("job") for task in running}
        return [task for task in running if jobs[task.id] in self.ours and jobs[task.id] not in self.active]

    def why_killed(self, task: Task) -> str | None:
        """Return what became of the job that ran a task; None while SLURM is still ending it."""
        job = last_start(task).get("job")
        if job is None or job not in self.ours:
            return KILLED
        told = told_of(job)
        return None if told.get("JobState") in ENDING else f"its SLURM job {job} {end_of(told)}; {GOES_ON}"

    def _drop_ended(self, jobs: dict[str, Any]) -> list[str]:
        """Take the jobs that are over off dask's list, and return a line for each."""
        over = {name: job for name, job in jobs.items() if job.refusal or job.job_id not in self.active}
        lines, told = [], {}
        for name, job in over.items():
            if job.refusal:
                if len(over) == len(jobs):
                    raise UserError(f"SLURM refuses further jobs, and none is left: {job.refusal}")
                lines.append(f"SLURM refuses a further job: {job.refusal}")
                self.wanted -= 1
                continue
            told = told_of(job.job_id)
            lines.append(f"SLURM job {job.job_id} {end_of(told)}")
            if name not in self.joined and told.get("JobState") not in ENDS:
                self.stillborn += 1
        self.cluster.sync(self._forget, list(over))
        if self.stillborn >= STILLBORN:
            raise UserError(f"{STILLBORN} SLURM jobs ended before they could take a notebook. {last_words(told)}")
        return lines

    async def _forget(self, names: list[str]) -> None:
        for name in names:  # in both, so that the next job gets a name of its own
            self.cluster.worker_spec.pop(name, None)
            if (job := self.cluster.workers.pop(name, None)) is not None:
                await job.close()

    def _replace(self, jobs: int) -> None:
        # Never fewer than there are: dask would not ask which one is idle.
        if jobs > len(self.cluster.worker_spec):
            self.cluster.scale(jobs=jobs)

    def _queue_line(self) -> list[str]:
        """Return a line if jobs wait that waited at the last look too, and what is told differs from what was."""
        pending = {job: reason for job, (state, reason) in self.active.items() if state == "PENDING"}
        mine = {job: reason for job, reason in pending.items() if job in self.ours}
        reasons = ", ".join(sorted({reason for reason in mine.values() if reason != "None"}))
        count = "1 job waits" if len(mine) == 1 else f"{len(mine)} jobs wait"
        before, self.queue = self.queue, f"{count} in the queue" + f" ({reasons})" * bool(reasons) if mine else ""
        if self.queue and self.queue == before and self.queue != self.waited:
            self.waited = self.queue
            return [self.queue]
        return []
