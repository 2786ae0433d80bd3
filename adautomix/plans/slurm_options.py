"""What a SLURM job that is a worker asks for: what dask-jobqueue's configuration file says, and what plans need."""

import logging
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from adautomix.plans import cards
from adautomix.plans.place import Where
from adautomix.plans.tasks import Task

GPUS = re.compile(
    r"\s*(?:--gres[= ](?:\S*,)?gpu(?![\w-])|--gpus(?:-per-node|-per-task)?(?![\w-])|-G)"
    r"(?:[:= ]?(?:[\w.-]*[a-z][\w.-]*:)?(\d+))?"
)
"""How a line for sbatch begins that asks for GPUs: how many, one if it does not say."""
PROLOGUE = [
    "export DASK_DISTRIBUTED__WORKER__DAEMON=False  # or a worker may not fork kernels",
    *(f"export {name}_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}" for name in ("OMP", "MKL", "OPENBLAS")),
]
OUTPUTS = {"-e": "err", "-o": "out"}
"""Flags of sbatch for the files that take what a job prints, and how these end."""


def options(where: Where, tasks: Sequence[Task]) -> dict[str, Any]:
    """Return what we ask of dask-jobqueue beside its configuration file, or add to what that says."""
    name = where.name if _said("name") in (None, "dask-worker") else _said("name")
    logs = _said("log-directory", str(where.logs))
    directives = [str(line) for line in _said("job-extra-directives", [])]
    wanted = max((task.gpus for task in tasks), default=0)
    there = sum(int(found[1] or 1) for line in directives if (found := GPUS.match(line)))
    if wanted and not there:
        directives, there = [*directives, f"--gres=gpu:{wanted}"], wanted
    if not there and any(task.gpu for task in tasks):
        print(
            "jobs have no GPU: notebooks of this plan would use one. Where the cluster has some, add '--gres=gpu:1' to "
            "job-extra-directives in jobqueue.yaml",
            file=sys.stderr,
        )
    if wanted:
        cards.require(tasks, there, "a job by jobqueue.yaml (job-extra-directives)")
    # One notebook a job, whatever cores the job has: those are for the notebook's own threads and loaders.
    arguments = [*_said("worker-extra-args", []), "--nthreads", "1", "--no-dashboard"]
    return {
        "processes": 1,
        "nanny": False,  # a worker that died ends its job, and is told
        "worker_extra_args": [*arguments, "--resources", f"GPU={there}"] if wanted else arguments,
        "job_directives_skip": [*_skipped(), *(f"#SBATCH {flag} " for flag in OUTPUTS)],
        # SLURM's own second start would be behind our back
        "job_extra_directives": [*_printed_to(logs, name), *directives, "--no-requeue"],
        "job_script_prologue": [*PROLOGUE, *_said("job-script-prologue", [])],
        "job_name": name,
        "log_directory": logs,
        "python": _said("python", shlex.quote(sys.executable)),
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"} | _said("scheduler-options", {}),
        "silence_logs": logging.CRITICAL,
        "job_cls": _job_class(),
    }


def _said(name: str, default: Any = None) -> Any:
    """Return what dask-jobqueue's configuration file says, or else a default."""
    from dask import config

    return config.get(f"jobqueue.slurm.{name}", None) or default


def _skipped() -> list[str]:
    return _said("job-directives-skip", _said("header-skip", []))


def _printed_to(folder: str, name: str) -> list[str]:
    """Return the lines for sbatch that name the files for what a job prints.

    Those of dask-jobqueue are no longer right where the folder's path has a blank.
    """
    quoted = {flag: shlex.quote(f"{folder}/{name}-%J.{suffix}") for flag, suffix in OUTPUTS.items()}
    lines = [f"{flag} {file}" for flag, file in quoted.items()]
    return [line for line in lines if not any(skip in f"#SBATCH {line}" for skip in _skipped())]


def _job_class() -> type:
    from dask_jobqueue.slurm import SLURMJob
    from distributed.deploy.spec import ProcessInterface

    class Job(SLURMJob):
        """A job that keeps why SLURM refused it: an exception here would be lost in the event loop, or printed."""

        refusal: str | None = None

        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, OSError, ValueError) as error:
                self.refusal = str(error).rpartition("stderr:")[2].strip()
                await ProcessInterface.start(self)

        async def close(self) -> None:
            await super().close()
            await ProcessInterface.close(self)  # dask asserts at its end that all are closed

    return Job
