"""`docker-compose.yml` without Docker: what it says is what images and code know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.service.settings import Settings
from stereospot.environment import Environment
from tests.images.dockerfiles import INFERENCE, ROOT, WEB, health_of, last_of
from tests.stereospot.test_env_example import OTHERS

FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"stereospot:development", "stereospot-inference:development"}
DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")


def told(service: str, monkeypatch, model) -> None:
    """The process's environment becomes the container's, with nothing in .env."""
    for name in {name.upper() for name in model.model_fields} | OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in SERVICES[service]["environment"].items():
        monkeypatch.setenv(name, DEFAULT.sub(r"\2", str(value)))


def ours(image: str) -> list[str]:
    return [name for name, service in SERVICES.items() if service["image"] == image]


def test_it_is_what_the_compose_specification_allows():
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_image_is_one_that_is_built_here_or_pinned():
    for name, service in SERVICES.items():
        image = service["image"]
        assert image in OURS or re.search(r":\d+\.\d+(\.\d+)?(-[a-z]+)?$", image), name
    builds = {
        service["image"]: service["build"]
        for service in SERVICES.values()
        if "build" in service
    }

    assert set(builds) == OURS
    for build in builds.values():
        assert (
            ROOT / build["context"] / build.get("dockerfile", "Dockerfile")
        ).exists()


def test_the_parts_are_all_there():
    assert set(SERVICES) >= {
        *("postgres", "sqs", "s3"),
        *("web", "media", "gpu", "control", "beat", "flower", "inference"),
    }


@pytest.mark.parametrize("service", ours("stereospot:development"))
def test_the_application_reads_what_it_is_told(service, monkeypatch):
    known = {name.upper() for name in Environment.model_fields} | OTHERS

    assert set(SERVICES[service]["environment"]) <= known
    told(service, monkeypatch, Environment)
    env = Environment(_env_file=None)
    assert all((env.database_url, env.celery_broker_url, env.source_bucket))


def test_the_server_reads_what_it_is_told(monkeypatch):
    known = {name.upper() for name in Settings.model_fields} | OTHERS

    assert set(SERVICES["inference"]["environment"]) <= known
    told("inference", monkeypatch, Settings)
    assert Settings().source_bucket == SERVICES["web"]["environment"]["SOURCE_BUCKET"]


def test_workers_and_server_agree():
    server, worker = (SERVICES[name]["environment"] for name in ("inference", "gpu"))

    for name in ("INFERENCE_TOKEN", "SOURCE_BUCKET", "RESULT_BUCKET"):
        assert server[name] == worker[name]
    (port,) = re.findall(r"inference:(\d+)", worker["INFERENCE_HTTP_URL"])
    assert int(port) == Settings.model_fields["port"].default


def test_what_stands_in_env_is_known_to_env_example():
    example = (ROOT / ".env.example").read_text()

    for name, _ in DEFAULT.findall(FILE.read_text()):
        assert re.search(rf"^#{name}=", example, re.MULTILINE), name


@pytest.mark.parametrize(
    "service",
    [name for name in ours("stereospot:development") if "command" in SERVICES[name]],
)
def test_every_command_is_one_that_the_image_has(service, tmp_path):
    words = [DEFAULT.sub(r"\2", word) for word in SERVICES[service]["command"]]
    commands = [words]
    if words[:2] == ["sh", "-c"]:
        commands = [part.split() for part in words[2].split("&&")]
    for command in commands:
        program = Path(sys.executable).with_name(command[0])
        arguments = [word.replace("/app/", f"{ROOT}/") for word in command[1:]]
        done = subprocess.run(
            [str(program), *arguments, "--help"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "usage" in done.stdout.lower()


def test_what_lasts_is_in_a_volume_that_the_image_or_server_writes():
    mounts = {
        name: dict(volume.split(":")[:2] for volume in service["volumes"])
        for name, service in SERVICES.items()
        if "volumes" in service
    }

    assert {volume for each in mounts.values() for volume in each} == set(
        COMPOSE["volumes"]
    )
    assert mounts["inference"]["weights"] == last_of(INFERENCE, "VOLUME")


def test_whoever_is_waited_for_says_when_it_is_ready():
    for name, service in SERVICES.items():
        for other, terms in service.get("depends_on", {}).items():
            if terms["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"], f"{name} → {other}"


def test_whoever_lasts_has_a_health_check_of_its_own_or_of_its_image():
    assert health_of(WEB)
    assert health_of(INFERENCE)
    for name, service in SERVICES.items():
        ends = service.get("restart") != "unless-stopped"
        checked = service["image"] in OURS or "healthcheck" in service
        assert ends or checked, name


def test_nothing_listens_outside_this_machine():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker here")
def test_docker_reads_it():
    done = subprocess.run(
        ["docker", "compose", "--profile", "gpu", "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "is not a docker command" in done.stderr or "unknown flag" in done.stderr:
        pytest.skip("docker has no compose here")
    assert done.returncode == 0, done.stderr
