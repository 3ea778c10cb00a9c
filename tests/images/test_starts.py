"""What the Dockerfiles run starts, from the files that the images have."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stereospot import health
from stereospot.embedded import free_port
from tests.images.dockerfiles import INFERENCE, WEB, health_of, last_of, stages_of

PARTS = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "CELERY_BROKER_URL": "sqs://",
    "DJANGO_SECRET_KEY": "only for tests",
}
"""What every container of the site is told."""
HOSTS = {"DJANGO_ALLOWED_HOSTS": ".films.example", "DJANGO_SECURE": "true"}
MOST_SECONDS = 40.0
"""For a process to start; it takes one or two."""
COMMANDS = [
    command
    for line in WEB.read_text().splitlines()
    if line.startswith(start := "#   docker run stereospot ")
    and (command := line.removeprefix(start).partition("  ")[0])
]
"""That the head of the file names, apart from the first, which is the site."""
WITHOUT_TORCH = """
import sys
sys.modules |= dict.fromkeys(("torch", "diffusers", "transformers", "huggingface_hub"))
import django
from stereospot.celery import app
django.setup()
app.loader.import_default_modules()
import stereospot.asgi, stereospot.urls, stereospot.wsgi
print(*app.tasks, sep="\\n")
"""


def environment(app: Path, data: Path, **more: str) -> dict[str, str]:
    """A container's, as far as it matters, with this machine's Python."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "PYTHONPATH": str(app),
        "PYTHONDONTWRITEBYTECODE": "1",
        "STEREOSPOT_DATA_DIR": str(data),
        **more,
    }


def run(command: list[str], env: dict[str, str], cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def running(
    command: list[str], env: dict[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=env, cwd=cwd)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def becomes(is_healthy: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + MOST_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if is_healthy():
            return True
        time.sleep(0.2)
    return False


def stops_well(process: subprocess.Popen[bytes], path: Path) -> bool:
    process.send_signal(getattr(signal, last_of(path, "STOPSIGNAL")))
    return process.wait(30) == 0


@pytest.fixture(scope="module")
def collected(web, tmp_path_factory) -> Path:
    """The data directory of the image, as the step that fills it leaves it."""
    data = tmp_path_factory.mktemp("lib")
    step = last_of(WEB, "RUN").replace("/app/", f"{web}/")
    status, said = run(["sh", "-c", step], environment(web, data), data)
    assert status == 0, said
    return data


def test_the_image_has_static_files_and_no_key(collected):
    assert {path.name for path in collected.iterdir()} == {"static", "tmp"}
    assert (collected / "static" / "staticfiles.json").exists()
    assert list((collected / "tmp").iterdir()) == []


def test_the_site_and_the_workers_start_without_torch(web, tmp_path):
    command = [sys.executable, "-c", WITHOUT_TORCH]
    status, said = run(command, environment(web, tmp_path, **PARTS), tmp_path)

    assert status == 0, said
    assert {"chunk", "infer", "concat", "sweep"} <= set(said.splitlines())


def test_the_site_starts_is_healthy_and_stops(web, collected, tmp_path, monkeypatch):
    port = str(free_port())
    command = [word.replace("8000", port) for word in json.loads(last_of(WEB, "CMD"))]
    (tmp_path / "cmdline").write_bytes("\0".join(command).encode())
    monkeypatch.setattr(health, "FIRST_PROCESS", tmp_path / "cmdline")
    for name, value in (PARTS | HOSTS).items():
        monkeypatch.setenv(name, value)

    def is_healthy() -> bool:
        return health.main([health_of(WEB)[-1].replace("8000", port)]) == 0

    assert not is_healthy()
    env = environment(web, collected, **PARTS, **HOSTS)
    with running(command, env, collected) as process:
        assert becomes(is_healthy, process)
        assert stops_well(process, WEB)


def test_what_neither_answers_nor_polls_is_healthy_while_it_runs(web, collected):
    check = health_of(WEB)

    assert check[:3] == ["python", "-m", "stereospot.health"]
    assert run(check, environment(web, collected), collected) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_image_start(command, web, collected):
    words = command.replace("/app/", f"{web}/").split()
    env = environment(web, collected, **PARTS)
    status, said = run([*words, "--help"], env, collected)

    assert status == 0, said
    assert "usage" in said.lower()


@pytest.fixture
def serve(tmp_path) -> Path:
    """The command `serve`, made as the image makes it."""
    (step,) = (
        line
        for stage in stages_of(INFERENCE)
        for step in stage.of("RUN")
        for line in step.split("&&")
        if "printf" in line and "/usr/local/bin/serve" in line
    )
    path = tmp_path / "serve"
    step = step.replace("/usr/local/bin/serve", str(path))
    subprocess.run(["sh", "-c", step], check=True)
    path.chmod(0o755)
    return path


def test_docker_run_image_serve_starts_a_healthy_server(server, serve, tmp_path):
    assert json.loads(last_of(INFERENCE, "CMD")) == [serve.name]
    env = environment(
        server,
        tmp_path,
        HF_HOME=str(tmp_path / "weights"),
        INFERENCE_FILE_ROOT=str(tmp_path),
        PORT=str(free_port()),
    )

    def is_healthy() -> bool:
        return run(health_of(INFERENCE), env, tmp_path)[0] == 0

    assert not is_healthy()
    with running([str(serve)], env, tmp_path) as process:
        assert becomes(is_healthy, process)
        assert stops_well(process, INFERENCE)
