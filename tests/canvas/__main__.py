"""Celery's own canvas tests on SQS, with our chords.

    python -m tests.canvas [--stock] [--sdist FILE] [arguments of pytest]

They come from the source distribution of the installed Celery and are run unchanged,
with its own worker (prefork, one process), against an embedded PostgreSQL and SQS.
`--stock` takes django-celery-results' backend instead, to compare.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = "t/integration/test_canvas.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.canvas")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--sdist", type=Path)
    chosen, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="stereospot-canvas-") as name:
        folder = Path(name)
        suite = _unpacked(chosen.sdist or _downloaded(folder), folder)
        return _run(suite, folder / "data", stock=chosen.stock, arguments=arguments)


def _downloaded(folder: Path) -> Path:
    wanted = f"celery=={version('celery')}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    options = ["--no-binary", ":all:", "--dest", str(folder), wanted]
    subprocess.run([*command, *options], check=True)
    (sdist,) = folder.glob("celery-*.tar.gz")
    return sdist


def _unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        # Not Celery itself: the installed one is tested.
        tests = [name for name in archive.getnames() if name.split("/")[1:2] == ["t"]]
        archive.extractall(folder, map(archive.getmember, tests), filter="data")
    (suite,) = folder.glob(f"celery-*/{SUITE}")
    return suite


def _run(suite: Path, data_dir: Path, *, stock: bool, arguments: list[str]) -> int:
    os.environ["STEREOSPOT_DATA_DIR"] = str(data_dir)
    from stereospot.embedded import Services

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's access log
    root = suite.parents[2]
    (root / "pytest.ini").write_text("[pytest]\npython_classes = test_*\n")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "stereospot.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(root)]),
        "CANVAS_BACKEND": "django-db" if stock else "",
    }
    plugins = ["no:django", "no:randomly", "no:xdist"]
    plugins += ["celery.contrib.pytest", "tests.canvas.plugin"]
    options = [option for name in plugins for option in ("-p", name)]
    with Services(data_dir):
        for command in (
            [str(ROOT / "manage.py"), "migrate", "--verbosity", "0"],
            ["-m", "pytest", "--rootdir", str(root), *options, str(suite), *arguments],
        ):
            done = subprocess.run([sys.executable, *command], env=environment, cwd=root)
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
