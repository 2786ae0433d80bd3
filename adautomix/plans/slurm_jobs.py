"""What SLURM says of jobs: which wait and why, and how one ended."""

import os
import re
import subprocess
from pathlib import Path

ENDING = ("RUNNING", "COMPLETING")
"""States of a job whose end is not through yet."""
ENDS = {
    "CANCELLED": "was cancelled (scancel)",
    "TIMEOUT": "reached its walltime ({TimeLimit})",
    "NODE_FAIL": "lost its node ({NodeList})",
    "OUT_OF_MEMORY": "took more memory than it had asked for",
    "PREEMPTED": "was preempted by another job",
}
"""Ends that are not the job's own doing."""
TOLD = re.compile(r"([\w:/]+)=(.*?)(?=\s+[\w:/]+=|\s*$)", re.MULTILINE)
"""What `scontrol` tells: name=value with blanks between, and those that are in a folder's name."""


def _ask(*command: str) -> str | None:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


def queue() -> dict[str, tuple[str, str]] | None:
    """Return state and reason of this user's jobs that are not over; None if SLURM does not answer."""
    text = _ask("squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%T|%r")
    if text is None:
        return None
    jobs = (line.strip().split("|", 2) for line in text.splitlines() if line.count("|") >= 2)
    return {job: (state, reason) for job, state, reason in jobs}


def told_of(job: str) -> dict[str, str]:
    """Return what SLURM says of a job; nothing once it has forgotten it, some minutes after its end."""
    return dict(TOLD.findall(_ask("scontrol", "-o", "show", "job", job) or ""))


def end_of(told: dict[str, str]) -> str:
    """Return how a job ended, as a predicate."""
    state = told.get("JobState", "")
    if state in ENDS:
        return ENDS[state].format_map(told)
    return f"ended ({state}, exit code {told.get('ExitCode', '?')})" if state else "ended"


def last_words(told: dict[str, str]) -> str:
    """Return how a job ended, and the end of what it printed."""
    file = Path(told.get("StdErr", "").replace("%J", told.get("JobId", "")))  # SLURM leaves this one to us
    words = file.read_text(errors="replace").strip().splitlines()[-5:] if file.is_file() else []
    return "\n  ".join([f"The last one {end_of(told)}" + f"; {file} ends:" * bool(words), *words])
