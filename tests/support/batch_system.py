"""Stand-ins for the commands of batch systems: what is submitted runs here, as a process group of its own."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUBMIT = """
import re, shlex, subprocess, sys
from pathlib import Path
script = Path(sys.argv[-1]).read_text()  # gone when this command returns
if "{system}" == "slurm":
    assert "#SBATCH --ntasks-per-node" not in script and "#SBATCH -n 1" in script
    words = ["/bin/sh", "-c", script]
else:
    values = dict(re.findall(r"^(\\w+) = (.*)$", script, flags=re.MULTILINE))
    quoted = values["Arguments"].strip()
    assert quoted[0] == quoted[-1] == '"' and "queue" in script.lower().split()
    words = [values["Executable"], *shlex.split(quoted[1:-1].replace('""', '"'))]
with open("{folder}/log", "ab") as log:
    job = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
with open("{folder}/jobs", "a") as jobs:
    jobs.write(f"{{job.pid}}\\n")
print(f"Submitted batch job {{job.pid}}" if "{system}" == "slurm" else f"1 job(s) submitted to cluster {{job.pid}}.")
"""
CANCEL = """
import os, signal, sys
os.killpg(int(sys.argv[-1].partition(".")[0]), signal.SIGTERM)
"""
COMMANDS = {"slurm": ("sbatch", "scancel"), "htcondor": ("condor_submit", "condor_rm")}


@dataclass(frozen=True, kw_only=True)
class BatchSystem:
    """A batch system of this machine alone.

    Attributes:
        folder: Where its commands, its log and the list of its jobs are.
        system: `slurm` or `htcondor`.
    """

    folder: Path
    system: str

    def install(self) -> None:
        """Write the commands."""
        for name, body in zip(COMMANDS[self.system], (SUBMIT, CANCEL), strict=True):
            path = self.folder / name
            path.write_text(f"#!{sys.executable}\n{body.format(folder=self.folder, system=self.system)}")
            path.chmod(0o755)

    @property
    def jobs(self) -> list[int]:
        """Every job submitted so far."""
        path = self.folder / "jobs"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def kill(self, job: int) -> None:
        """End a job as a batch system does at the end of its time, without a word to the workers."""
        with suppress(ProcessLookupError):
            os.killpg(job, signal.SIGKILL)

    def ended(self, job: int) -> bool:
        """Whether no process of a job is left."""
        try:
            os.killpg(job, 0)
        except ProcessLookupError:
            return True
        return False
