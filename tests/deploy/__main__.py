"""`python -m tests.deploy`: what can be said of deploy/terraform without applying it.

Part of `make check`. What cannot be run on this machine is named, and skipped.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.deploy.terraform import ROOT, SOURCE, Folder, MissingError

CHECKOV = Path(sys.prefix) / "checkov" / "bin" / "checkov"
"""In an environment of its own: it brings a hundred packages."""


def main() -> int:
    results = [_terraform(), _checkov()]
    return max(results)


def _terraform() -> int:
    try:
        for part in ("setup", ""):
            with tempfile.TemporaryDirectory() as folder:
                work = Folder(Path(folder), part)
                done = work.run("fmt", "-check", "-diff", "-recursive", seconds=60)
                if _says(f"terraform fmt {part or 'all'}", done):
                    return 1
                work.init("-backend=false")
                if _says(
                    f"terraform validate {part or 'the system'}",
                    work.run("validate", seconds=120),
                ):
                    return 1
                done = work.run("test", seconds=600)
                if _says(f"terraform test {part or 'the system'}", done):
                    return 1
    except MissingError as missing:
        print(
            f"deploy/terraform: this machine has not {missing}; skipped: fmt, validate, test"
        )
    return 0


def _checkov() -> int:
    if not CHECKOV.exists():
        print("deploy/terraform: checkov is not installed; skipped")
        return 0
    config = SOURCE / ".checkov.yaml"
    command = [CHECKOV, "--directory", SOURCE, "--config-file", config]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    # It is content with a file that it cannot read.
    if "Parsing errors" in done.stdout:
        done.returncode = 1
    return _says("checkov", done)


def _says(name: str, done: subprocess.CompletedProcess[str]) -> int:
    lines = (done.stdout or "").strip().splitlines()
    if done.returncode:
        print(*lines, sep="\n")
        print(f"{name}: failed")
    else:
        print(f"{name}: {lines[-1] if lines else 'ok'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
