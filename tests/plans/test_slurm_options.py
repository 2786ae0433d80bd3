"""What a SLURM job asks for: do paths with blanks stay whole, and does the user's own configuration stand?"""

import shlex
import sys
from pathlib import Path

import pytest

from adautomix.plans import slurm_jobs
from adautomix.plans.place import Where
from adautomix.plans.slurm_jobs import last_words, told_of
from adautomix.plans.slurm_options import options

pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
SIZE = {"cores": 1, "memory": "1GB", "queue": "main"}


def script(folder: Path, **configured) -> list[str]:
    """Return the lines that sbatch would be given for a job with its logs in a folder."""
    import dask

    with dask.config.set({"jobqueue.slurm": dask.config.get("jobqueue.slurm") | configured}):
        asked = options(Where(1, "slurm", 1, "adautomix-tiny", folder), [])
        job = asked.pop("job_cls")
        for ours in ("scheduler_options", "silence_logs"):
            asked.pop(ours)
        return job("tcp://127.0.0.1:1", "0", **SIZE | asked).job_script().splitlines()


def test_folders_and_interpreters_with_blanks_are_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python3")
    lines = script(tmp_path / "my work" / "jobs")
    assert f"#SBATCH -e '{tmp_path}/my work/jobs/adautomix-tiny-%J.err'" in lines
    assert f"#SBATCH -o '{tmp_path}/my work/jobs/adautomix-tiny-%J.out'" in lines
    assert sum(line.startswith(("#SBATCH -e", "#SBATCH -o")) for line in lines) == 2
    worker = next(line for line in lines if "dask_worker" in line)
    assert shlex.split(worker)[:3] == ["/opt/my python/bin/python3", "-m", "distributed.cli.dask_worker"]


def test_what_the_configuration_file_says_stands(tmp_path):
    lines = script(tmp_path, python="srun python", **{"job-directives-skip": ["#SBATCH -o", "#SBATCH -p"]})
    assert f"#SBATCH -e {tmp_path}/adautomix-tiny-%J.err" in lines
    assert not any(line.startswith(("#SBATCH -o", "#SBATCH -p")) for line in lines)
    assert any(line.startswith("srun python -m ") for line in lines)
    own = script(tmp_path, **{"log-directory": str(tmp_path / "my logs"), "name": "mine"})
    assert f"#SBATCH -e '{tmp_path}/my logs/mine-%J.err'" in own


def test_the_end_of_what_a_job_printed_is_found_in_a_folder_with_blanks(tmp_path, monkeypatch):
    printed = tmp_path / "my work" / "tiny-7.err"
    printed.parent.mkdir()
    printed.write_text("no such module")
    told = f"JobId=7 JobState=FAILED ExitCode=3:0 AllocNode:Sid=a:1 TRES=cpu=1 StdErr={printed} StdIn=/dev/null Power="
    monkeypatch.setattr(slurm_jobs, "_ask", lambda *command: told + " \n")
    assert told_of("7") == {
        "JobId": "7",
        "JobState": "FAILED",
        "ExitCode": "3:0",
        "AllocNode:Sid": "a:1",
        "TRES": "cpu=1",
        "StdErr": str(printed),
        "StdIn": "/dev/null",
        "Power": "",
    }
    assert last_words(told_of("7")).endswith("no such module")
