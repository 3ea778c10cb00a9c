"""What tasks on AWS are told and made to run is what our code reads and knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from inference.service.settings import Settings
from stereospot.environment import Environment
from tests.images.dockerfiles import WEB, health_of

OTHERS = {
    *("TMPDIR", "PGPASSWORD"),  # Python's, libpq's
    *("DJANGO_SUPERUSER_EMAIL", "DJANGO_SUPERUSER_PASSWORD"),  # Django's
}


def told(container: dict[str, Any]) -> dict[str, str]:
    given = {one["name"]: one["value"] for one in container.get("environment", [])}
    return given | {
        one["name"]: "from a secret" for one in container.get("secrets", [])
    }


@pytest.fixture
def ours(system) -> dict[str, dict[str, Any]]:
    return {
        name: container
        for name, container in system.containers().items()
        if "-app:" in container["image"]
    }


def test_every_variable_is_one_that_the_application_reads(ours):
    known = {name.upper() for name in Environment.model_fields} | OTHERS

    assert set(ours) >= {"web-ui", "media-worker", "video-worker", "control", "beat"}
    for name, container in ours.items():
        assert set(told(container)) <= known, name


def test_the_application_starts_with_what_it_is_told(ours, monkeypatch):
    for name in Environment.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in told(ours["web-ui"]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "user:password")
    env = Environment(_env_file=None)

    assert set(env.queue_urls) == {"media", "gpu", "control"}
    assert env.cloudwatch_system == "stereo-spot"
    assert env.database_url is not None
    assert "sslmode=verify-full" in env.database_url.get_secret_value()


def test_the_server_starts_with_what_it_is_told(system, monkeypatch):
    sagemaker = system.aws.client("sagemaker")
    (model,) = sagemaker.list_models()["Models"]
    described = sagemaker.describe_model(ModelName=model["ModelName"])
    given = described["PrimaryContainer"]["Environment"]
    known = {name.upper() for name in Settings.model_fields} | {"HF_TOKEN_ARN"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert set(given) <= known
    assert Settings().source_bucket == system.outputs["input_bucket_name"]


def test_the_endpoint_answers_where_workers_may_read(system):
    stacks = system.aws.client("cloudformation")
    (stack,) = stacks.list_stacks()["StackSummaries"]
    template = stacks.get_template(StackName=stack["StackName"])["TemplateBody"]
    properties = (template if isinstance(template, dict) else json.loads(template))[
        "Resources"
    ]["Config"]["Properties"]
    shape = (
        Session().get_service_model("sagemaker").shape_for("CreateEndpointConfigInput")
    )
    report = ParamValidator().validate(
        {"EndpointConfigName": "one", **properties}, shape
    )
    places = properties["AsyncInferenceConfig"]["OutputConfig"]

    assert not report.has_errors(), report.generate_report()
    assert places["S3OutputPath"].startswith(
        f"s3://{system.outputs['output_bucket_name']}/sagemaker/"
    )


def test_every_container_is_asked_for_its_health_as_its_image_says(ours):
    checks = {
        name: container.get("healthCheck", {}).get("command")
        for name, container in ours.items()
        if name not in {"migrate", "administrator"}  # they end
    }

    assert set(map(tuple, checks.values())) == {("CMD", *health_of(WEB))}


def test_no_member_of_a_container_is_misspelt(system):
    """moto, as ECS's own console does not, takes whatever it is given."""
    shape = Session().get_service_model("ecs").shape_for("ContainerDefinition")
    for name, container in system.containers().items():
        report = ParamValidator().validate(container, shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        assert set(container) <= set(shape.members), name


def test_every_command_is_one_that_our_image_has(ours, tmp_path):
    for name, container in ours.items():
        if not (command := container.get("command")):
            continue  # the image's own
        words = [word.replace("/app/manage.py", "manage.py") for word in command]
        done = subprocess.run(
            [str(Path(sys.executable).with_name(words[0])), *words[1:], "--help"],
            env=os.environ | {"STEREOSPOT_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        assert "usage" in done.stdout.lower(), name
