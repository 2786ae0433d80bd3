"""A real SLURM of one node on this machine, as root, in a folder and on ports of its own; gone when the test is."""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
NODE = "node1"
START_SECONDS, END_SECONDS = 120, 30
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=0
GresTypes=gpu
KillWait=1
OverTimeLimit=0
ReturnToService=2
MpiDefault=none
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={daemon} CPUs=4 RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=60 State=UP
"""


def missing() -> str | None:
    """Return why SLURM cannot run here, or None."""
    if os.geteuid() != 0:
        return "a SLURM of one's own needs root"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"needs slurmctld, slurmd, slurm-client and munge: no {', '.join(lacking)}" if lacking else None


@contextmanager
def one_node(folder: Path):
    """Yield the environment variables with which `sbatch` and its like reach a SLURM that was started for them."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    controller, daemon = _free_ports(2)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    config.write_text(CONFIG.format(host=host, folder=folder, controller=controller, daemon=daemon, node=NODE))
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
    own = [f"--{name}-file={folder}/munged.{name}" for name in ("pid", "seed", "log")]
    munged = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}", *own]
    env = {"SLURM_CONF": str(config)}
    with ExitStack() as stack:
        stack.enter_context(_daemon(munged, folder))
        _wait_for(lambda: (folder / "munge.socket").exists(), "munged", folder)
        stack.callback(_kill_steps, env)
        stack.enter_context(_daemon(["slurmctld", "-D", "-f", str(config)], folder))
        stack.enter_context(_daemon(["slurmd", "-D", "-N", NODE, "-f", str(config)], folder))
        stack.callback(_cancel_all, env)
        _wait_for(lambda: ask(env, "sinfo", "-h", "-o", "%T") == "idle", "the node", folder)
        yield env


def ask(env: dict[str, str], *command: str) -> str:
    """Return what a SLURM command prints, or an empty string if it fails."""
    answer = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


@contextmanager
def _daemon(command: list[str], folder: Path):
    with (folder / f"{command[0]}.out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, preexec_fn=_end_with_the_tests)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_the_tests() -> None:
    """Be told to end when the tests' process ends, even by a signal."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _cancel_all(env: dict[str, str]) -> None:
    """End all jobs, so that no step's daemon is left behind."""
    deadline = time.monotonic() + END_SECONDS
    while (jobs := ask(env, "squeue", "-h", "-o", "%i").split()) and time.monotonic() < deadline:
        ask(env, "scancel", *jobs)
        time.sleep(0.5)


def _kill_steps(env: dict[str, str]) -> None:
    """Kill the daemons of steps that wait for a controller which is gone, and what they still run."""
    ours = f"SLURM_CONF={env['SLURM_CONF']}".encode()  # psutil's reading ends at the gap that their titles leave
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "slurmstepd" and ours in Path("/proc", str(process.pid), "environ").read_bytes():
                for one in [*process.children(recursive=True), process]:
                    one.kill()


def _wait_for(there, what: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not there():
        if time.monotonic() > deadline:
            logs = "\n".join(p.read_text()[-2000:] for p in [*folder.glob("*.log"), *folder.glob("*.out")])
            raise TimeoutError(f"{what} did not start:\n{logs}")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
