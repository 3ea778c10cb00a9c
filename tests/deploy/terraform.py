"""Terraform on this machine: its program, its provider, and a folder to run it in.

Nothing is written into the checkout. A provider that lies on this machine is used as it
is; else Terraform fetches it, where there is a network.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "deploy" / "terraform"
FETCH_SECONDS = 120
NOT_TO_BE_HAD = ("Failed to query available provider packages", "Failed to install")


class MissingError(Exception):
    """This machine has no Terraform, or no provider for it; the message says which."""


class Folder:
    """A copy of deploy/terraform with what it reads from elsewhere, ready for `run`."""

    def __init__(self, into: Path, part: str = "", **environment: str) -> None:
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars")
        shutil.copytree(SOURCE, into / "deploy" / "terraform", ignore=ignored)
        (into / "workers").mkdir()
        shutil.copy(ROOT / "workers" / "queues.json", into / "workers")
        self.path = into / "deploy" / "terraform" / part
        home = {name: os.environ[name] for name in ("HOME", "PATH")}
        # The file that others name for the command line may be missing, or say more.
        self._environment = home | {
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            **environment,
        }

    def init(self, *options: str) -> None:
        """Raises `MissingError` when there is no provider."""
        mirror = provider_mirror()
        known = (f"-plugin-dir={mirror}",) if mirror else ()
        done = self.run("init", "-input=false", *known, *options, seconds=FETCH_SECONDS)
        if done.returncode and any(text in done.stdout for text in NOT_TO_BE_HAD):
            raise MissingError(f"the provider hashicorp/aws {version()} (no network?)")
        assert done.returncode == 0, done.stdout

    def run(
        self, command: str, *options: str, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """What it said, errors among it, is in `stdout`."""
        return subprocess.run(
            [program(), command, "-no-color", *options],
            cwd=self.path,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )


def program() -> str:
    if (found := shutil.which("terraform")) is None:
        raise MissingError("terraform")
    return found


def version() -> str:
    """Of the provider, as both parts pin it."""
    pins = {
        pin
        for part in (SOURCE / "versions.tf", SOURCE / "setup" / "main.tf")
        for pin in re.findall(r'^\s+version = "([\d.]+)"', part.read_text(), re.M)
    }
    assert len(pins) == 1, f"the parts pin different providers: {pins}"
    return pins.pop()


@functools.cache
def provider_mirror() -> Path | None:
    """A folder of unpacked providers that has ours, if this machine has one."""
    wanted = f"*/hashicorp/aws/{version()}"
    # -xdev: not into other disks, /proc and the like.
    search = [
        "find",
        "/",
        "-xdev",
        "-maxdepth",
        "6",
        "-path",
        wanted,
        "-print",
        "-quit",
    ]
    done = subprocess.run(search, capture_output=True, text=True, check=False)
    found = done.stdout.splitlines()
    return Path(found[0]).parents[3] if found else None
